"""Generated code of the package headrace.type.v1."""
