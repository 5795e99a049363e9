"""Generated code of the package headrace.registry.v1."""
