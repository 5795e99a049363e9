"""Makes the schemas that clients send such that an answer held to one comes to its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_NOTES = frozenset(
    (
        "binary",
        "byte",
        "directory-path",
        "double",
        "file-path",
        "float",
        "int32",
        "int64",
        "password",
        "path",
    )
)
"""Formats of OpenAPI and pydantic that tell programs something, and rule out no text."""

SEPARATORS = {"whitespace_flexible": False, "key_separator": ": ?", "item_separator": ", ?"}
"""For llguidance: a space after a comma or a colon, which is what models write, and none anywhere else.

Where any may come, a small model writes line ends until it has no tokens left.
"""

_OF_ONE = ("items", "additionalProperties", "not", "contains")
_OF_MANY = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "patternProperties", "$defs", "definitions")
_OPEN = (
    "additionalProperties",
    "patternProperties",
    "unevaluatedProperties",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
)


def closed(schema: Schema) -> Schema:
    """Return the schema with objects that have no other properties than those they name.

    JSON Schema allows others where it does not say, and a model held to that invents keys for ever.
    Schemas that are met together (`allOf`) stay as they are: each would rule out what the others name.
    """
    together = frozenset(_references(schema))
    made: Schema = _closed(schema, together, "#", is_open=False)
    return made


def _closed(schema: Any, together: frozenset[str], path: str, *, is_open: bool) -> Any:
    if not isinstance(schema, dict):
        return schema
    is_open = is_open or path in together
    made = {
        key: _part(key, value, together, f"{path}/{key}", is_open=_leaves_open(key, value))
        for key, value in schema.items()
    }
    if (
        not is_open
        and isinstance(schema.get("properties"), dict)
        and not schema.keys() & set(_OPEN)
    ):
        made["additionalProperties"] = False
    return made


def _part(key: str, value: Any, together: frozenset[str], path: str, *, is_open: bool) -> Any:
    if key in _OF_ONE:
        return _closed(value, together, path, is_open=False)
    if key in _OF_MANY and isinstance(value, list):
        return [_closed(one, together, path, is_open=is_open) for one in value]
    if key in _NAMED and isinstance(value, dict):
        return {
            name: _closed(one, together, f"{path}/{name}", is_open=False)
            for name, one in value.items()
        }
    return value


def _leaves_open(key: str, value: Any) -> bool:
    return key == "allOf" and isinstance(value, list) and len(value) > 1


def _references(schema: Any) -> Iterator[str]:
    """List what schemas that are met together refer to."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if _leaves_open(key, value):
                yield from (
                    str(one["$ref"]) for one in value if isinstance(one, dict) and "$ref" in one
                )
            yield from _references(value)
    elif isinstance(schema, list):
        for one in schema:
            yield from _references(one)
