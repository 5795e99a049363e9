"""Generated code of the package headrace.inference.v1."""
