"""Messages of the gRPC API as the console's JSON: names as in the protos, times and lengths as seconds."""

from __future__ import annotations

from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

NANOSECONDS = 1_000_000_000

_Descriptor = Any
"""Of a field or an enum: in C or in Python, which types tell apart."""


def message_json(message: Message) -> dict[str, object]:
    """Every field of a message: null where it is not there, words in lower case for enums.

    Seconds since the epoch stand for times, seconds for lengths.
    """
    return {field.name: _field_json(message, field) for field in message.DESCRIPTOR.fields}


def _field_json(message: Message, field: _Descriptor) -> object:
    value = getattr(message, field.name)
    if field.is_repeated:
        if field.message_type and field.message_type.GetOptions().map_entry:
            return {str(key): _value_json(each, field) for key, each in value.items()}
        return [_value_json(each, field) for each in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _value_json(value, field)


def _value_json(value: Any, field: _Descriptor) -> object:
    if isinstance(value, Timestamp | Duration):
        return value.seconds + value.nanos / NANOSECONDS
    if isinstance(value, Message):
        return message_json(value)
    if field.enum_type is not None:
        return _word(field.enum_type, value)
    return value


def _word(kind: _Descriptor, number: int) -> str:
    """`ALERT_STATE_FIRING` of AlertState as `firing`; '' for what is not set."""
    names = {each.number: each.name for each in kind.values}
    prefix = names[0].removesuffix("UNSPECIFIED")
    return names[number].removeprefix(prefix).lower() if number and number in names else ""
