"""Keeps fields that this code does not know, so that records can be read, changed and written back.

A record with such fields is of a class of its own, which has them beside what is known: it equals, is
replaced and is shown as its class is. A record without them costs no memory. To find out, its JSON is read
a second time by a type that knows the names alone and skips all values, which takes 1 to 2 µs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass, replace
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import inspect

Record = TypeVar("Record")

UNKNOWN = "unknown_fields"
"""The attribute of records that have fields which this code does not know."""


def unknown_fields(record: object) -> dict[str, object]:
    """The fields of a record that this code does not know, as JSON has them; not to be changed."""
    found: dict[str, object] = getattr(record, UNKNOWN, _NONE)
    return found


def with_unknown_fields(record: Record, unknown: Mapping[str, object]) -> Record:
    """The record with these fields in the place of those that it has, whose names it does not know."""
    if not unknown and not unknown_fields(record):
        return record
    kept = _kept_type(_known_type(type(record)))
    known = {each.name: getattr(record, each.name) for each in fields(cast("Any", record))}
    return cast("Record", kept(**(known | {UNKNOWN: dict(unknown)})))


def with_unknown_of(record: Record, present: Record) -> Record:
    """The record with the unknown fields of the one that it replaces, also of records inside.

    So who sets all of a record leaves alone what they cannot know.
    """
    inner: dict[str, object] = {}
    for name in known_names(cast("type", type(present))):
        new, old = getattr(record, name), getattr(present, name)
        if is_dataclass(new) and is_dataclass(old):
            inner[name] = with_unknown_of(new, old)
    changed = replace(cast("Any", record), **inner) if inner else record
    return with_unknown_fields(cast("Record", changed), unknown_fields(present))


def keep_unknown_fields(record: Record, data: bytes) -> Record:
    """The record that was read of this JSON, with the fields that its types passed over, at every depth."""
    decoder = _names_decoder(type(record))  # type: ignore[arg-type]  # it is hashable
    if decoder is None:
        return record
    try:
        decoder.decode(data)
    except msgspec.ValidationError:
        return cast("Record", _kept(record, msgspec.json.decode(data)))
    return record


def known_names(record_type: type) -> frozenset[str]:
    """The names of the fields that a record of this class knows."""
    return _names(_known_type(record_type))


_NONE: dict[str, object] = {}


@dataclass(frozen=True, slots=True)
class _Marked:
    """Marks classes with unknown fields."""


def _known_type(record_type: type) -> type:
    """The class of a record as it is written in the code."""
    return record_type.__bases__[0] if issubclass(record_type, _Marked) else record_type


@cache
def _names(record_type: type) -> frozenset[str]:
    return frozenset(each.name for each in fields(record_type))


@cache
def _kept_type(record_type: type) -> type:
    """The record's class, with room for unknown fields."""
    unknown: Any = (UNKNOWN, Mapping[str, object], field(default_factory=dict, hash=False))
    bases = (record_type, _Marked)
    return make_dataclass(record_type.__name__, [unknown], bases=bases, frozen=True, slots=True)


def _kept(value: object, tree: object) -> object:
    """The value with all that its JSON has and its class does not."""
    if is_dataclass(value) and isinstance(tree, dict):
        known = known_names(type(value))
        held = {name: _kept(getattr(value, name), tree[name]) for name in tree if name in known}
        moved = {name: one for name, one in held.items() if one is not getattr(value, name)}
        for name, one in moved.items():
            object.__setattr__(value, name, one)  # it was read just now, and nobody else has it
        unknown = {name: one for name, one in tree.items() if name not in known}
        return with_unknown_fields(value, unknown) if unknown else value
    if isinstance(value, Mapping) and isinstance(tree, dict):
        pairs = zip(value.items(), tree.values(), strict=True)
        return {key: _kept(one, branch) for (key, one), branch in pairs}
    if isinstance(value, tuple) and isinstance(tree, list):
        return tuple(_kept(one, branch) for one, branch in zip(value, tree, strict=True))
    return value


@cache
def _names_decoder(record_type: type) -> msgspec.json.Decoder[Any] | None:
    """Return what refuses JSON with a field that the record's class, or one inside, does not know."""
    if not is_dataclass(record_type):
        return None
    return msgspec.json.Decoder(_names_type(inspect.type_info(record_type)))


def _names_type(info: inspect.Type) -> Any:
    """A type that takes the same JSON, knows the names of its fields, and reads nothing else."""
    if isinstance(info, inspect.DataclassType):
        return _names_struct(info)
    if isinstance(info, inspect.UnionType):
        inner = [_names_type(each) for each in info.types]
        named = [each for each in inner if each is not msgspec.Raw]
        return named[0] | None if len(named) == 1 else msgspec.Raw
    if isinstance(info, inspect.VarTupleType):
        item = _names_type(info.item_type)
        return msgspec.Raw if item is msgspec.Raw else list[item]  # type: ignore[valid-type]  # made here
    if isinstance(info, inspect.DictType):
        value = _names_type(info.value_type)
        return msgspec.Raw if value is msgspec.Raw else dict[str, value]  # type: ignore[valid-type]
    return msgspec.Raw


def _names_struct(info: inspect.DataclassType) -> Any:
    blank = msgspec.Raw(b"null")
    named = [(each.encode_name, _names_type(each.type), blank) for each in info.fields]
    return msgspec.defstruct(
        info.cls.__name__, named, frozen=True, gc=False, forbid_unknown_fields=True
    )
