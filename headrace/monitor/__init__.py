"""Generated code of the package headrace.monitor."""
