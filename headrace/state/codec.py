"""Records as JSON and back, with the fields that a newer writer added."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from headrace import errors
from headrace.state.unknown_fields import (
    UNKNOWN,
    keep_unknown_fields,
    known_names,
    unknown_fields,
)

Record = TypeVar("Record")


_LONG = 64
"""Mappings that are longer, as a model's aliases can be, are encoded whole: twenty times as fast."""
_PLAIN = frozenset({str, int, float, bool, bytes, type(None), msgspec.Raw})
_UNKNOWN_IN_JSON = f'"{UNKNOWN}":'.encode()


def encode(record: object) -> bytes:
    """A record as JSON; keys in the order of its fields, so equal records have equal bytes."""
    data = msgspec.json.encode(record)
    return msgspec.json.encode(_whole(record)) if _UNKNOWN_IN_JSON in data else data


def encode_sparse(record: object) -> bytes:
    """A record as JSON without the fields that have their defaults; it decodes to an equal record.

    So the defaults of fields are part of what is stored: they stay as they are.
    """
    data = msgspec.json.encode(_sparse(record))
    if _UNKNOWN_IN_JSON in data:
        return msgspec.json.encode(_sparse(record, sys.maxsize))
    return data


def decode(record_type: type[Record], data: bytes) -> Record:
    """The record that the JSON describes, with fields that are not known here, which `encode` writes again.

    Raises DataLoss (STATE_UNREADABLE) where it is none.
    """
    return keep_unknown_fields(decode_part(record_type, data), data)


def decode_part(record_type: type[Record], data: bytes) -> Record:
    """The same without fields that are not known here: for records of which only a part is of interest."""
    try:
        found: Record = _decoder(record_type).decode(data)  # type: ignore[arg-type]  # it is hashable
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise errors.DataLoss(
            "STATE_UNREADABLE",
            f"a {record_type.__name__} in the shared state cannot be read: {error}",
        ) from error
    return found


def stored(data: bytes) -> msgspec.Raw:
    """JSON to be put into other JSON as it is. Raises DataLoss (STATE_UNREADABLE) where it is none."""
    decode(dict, data)
    return msgspec.Raw(data)


def _sparse(value: object, long: int = _LONG) -> object:
    kind: Any = type(value)
    if kind in _PLAIN:
        return value
    fields = _fields(kind)
    if fields is not None:
        tree: dict[str, object] = {}
        for name, default in fields:
            held = getattr(value, name)
            if held != default:
                tree[name] = _sparse(held, long)
        return tree | unknown if (unknown := unknown_fields(value)) else tree
    if isinstance(value, Mapping) and len(value) < long:
        return {key: _sparse(held, long) for key, held in value.items()}
    if isinstance(value, tuple):
        return [_sparse(item, long) for item in value]
    return value


def _whole(value: object) -> object:
    kind: Any = type(value)
    fields = _fields(kind)
    if fields is not None:
        tree = {name: _whole(getattr(value, name)) for name, _ in fields}
        return {**tree, **unknown_fields(value)}
    if isinstance(value, Mapping):
        return {key: _whole(held) for key, held in value.items()}
    if isinstance(value, tuple):
        return [_whole(item) for item in value]
    return value


@cache
def _decoder(record_type: type) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(record_type)


@cache
def _fields(record_type: type) -> tuple[tuple[str, object], ...] | None:
    """The fields of a dataclass that this code knows, with their defaults; None where it is none."""
    if not dataclasses.is_dataclass(record_type):
        return None
    known = known_names(record_type)
    fields = dataclasses.fields(record_type)
    return tuple((field.name, _default(field)) for field in fields if field.name in known)


def _default(field: dataclasses.Field[Any]) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default  # MISSING, which equals nothing, where there is none
