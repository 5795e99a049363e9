"""Records as JSON and back: fields that a newer writer added are passed over."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from headrace import errors

Record = TypeVar("Record")


def encode(record: object) -> bytes:
    """A record as JSON; keys in the order of its fields, so equal records have equal bytes."""
    return msgspec.json.encode(record)


def decode(record_type: type[Record], data: bytes) -> Record:
    """The record that the JSON describes. Raises DataLoss (STATE_UNREADABLE) where it is none."""
    try:
        return msgspec.json.decode(data, type=record_type)
    except msgspec.MsgspecError as error:
        raise errors.DataLoss(
            "STATE_UNREADABLE",
            f"a {record_type.__name__} in the shared state cannot be read: {error}",
        ) from error
