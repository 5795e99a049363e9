"""Generated code of the package headrace.registry."""
