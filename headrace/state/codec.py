"""Records as JSON and back: fields that a newer writer added are passed over."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, cast

import msgspec

from headrace import errors

Record = TypeVar("Record")


_LONG = 64
"""Mappings that are longer, as a model's aliases can be, are encoded whole: twenty times as fast."""


def encode(record: object) -> bytes:
    """A record as JSON; keys in the order of its fields, so equal records have equal bytes."""
    return msgspec.json.encode(record)


def encode_sparse(record: object) -> bytes:
    """A record as JSON without the fields that have their defaults; it decodes to an equal record.

    So the defaults of fields are part of what is stored: they stay as they are.
    """
    return msgspec.json.encode(_sparse(record))


def decode(record_type: type[Record], data: bytes) -> Record:
    """The record that the JSON describes. Raises DataLoss (STATE_UNREADABLE) where it is none."""
    try:
        return msgspec.json.decode(data, type=record_type)
    except msgspec.MsgspecError as error:
        raise errors.DataLoss(
            "STATE_UNREADABLE",
            f"a {record_type.__name__} in the shared state cannot be read: {error}",
        ) from error


def stored(data: bytes) -> msgspec.Raw:
    """JSON to be put into other JSON as it is. Raises DataLoss (STATE_UNREADABLE) where it is none."""
    decode(dict, data)
    return msgspec.Raw(data)


def _sparse(value: object) -> object:
    if dataclasses.is_dataclass(value):
        given = (
            (name, getattr(value, name), default)
            for name, default in _fields(cast(Any, type(value)))
        )
        return {name: _sparse(held) for name, held, default in given if held != default}
    if isinstance(value, Mapping) and len(value) < _LONG:
        return {key: _sparse(held) for key, held in value.items()}
    if isinstance(value, tuple):
        return [_sparse(item) for item in value]
    return value


@cache
def _fields(record_type: type) -> tuple[tuple[str, object], ...]:
    """The fields of a dataclass with their defaults."""
    return tuple((field.name, _default(field)) for field in dataclasses.fields(record_type))


def _default(field: dataclasses.Field[Any]) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default  # MISSING, which equals nothing, where there is none
