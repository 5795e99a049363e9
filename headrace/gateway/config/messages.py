"""The form of Envoy's messages in JSON."""

from __future__ import annotations

from collections.abc import Mapping

Message = Mapping[str, object]
"""One message of Envoy's API, as JSON has it."""

TYPES = "type.googleapis.com/envoy."


def typed(kind: str, **fields: object) -> dict[str, object]:
    """A message that says its own type, as Envoy wants it where several may stand."""
    return {"@type": TYPES + kind, **fields}


def extension(name: str, kind: str, **fields: object) -> dict[str, object]:
    """An extension of Envoy by its name, with its configuration."""
    return {"name": name, "typed_config": typed(kind, **fields)}


def seconds(value: float) -> str:
    """A duration."""
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"
