"""Messages of the protocol as JSON: proto field names, and numbers as numbers, also those of 64 bits.

protobuf's own JSON writes 64-bit numbers as strings; Triton's clients do arithmetic on them.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message


def message_to_json(message: Message, *, unset_too: bool = False) -> dict[str, Any]:
    """A message as what JSON is made of; messages that are not set only if `unset_too`."""
    return {
        field.name: _field(message, field, unset_too=unset_too)
        for field in message.DESCRIPTOR.fields
        if _is_shown(message, field, unset_too=unset_too)
    }


def _is_shown(message: Message, field: Any, *, unset_too: bool) -> bool:
    if not field.has_presence or message.HasField(field.name):
        return True
    alone: bool = field.containing_oneof is None
    return unset_too and alone


def _field(message: Message, field: Any, *, unset_too: bool) -> Any:
    value: Any = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        of_value = field.message_type.fields_by_name["value"]
        return {str(key): _json(of_value, value[key], unset_too=unset_too) for key in value}
    if field.is_repeated:
        return [_json(field, item, unset_too=unset_too) for item in value]
    return _json(field, value, unset_too=unset_too)


def _json(field: Any, value: Any, *, unset_too: bool) -> Any:
    if field.message_type is not None:
        return message_to_json(value, unset_too=unset_too)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return value
