"""Lists Triton config fields that could not be converted, with the reason and what to do.

Whoever carries a field over clears it from a copy; what is still there afterwards is listed. So a field
that nobody thought of is listed, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import text_format

from headrace.triton.hints import ADVICE, UNKNOWN

MAX_VALUE_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class UnsupportedField:
    """One thing that Triton was told and Headrace is not: where, what, why, and what to do."""

    field: str
    value: str
    why: str
    remedy: str


def remainder(left: Any, original: Any) -> Iterator[UnsupportedField]:
    """An entry for each field set in `left`, a copy of `original` with what was carried over cleared."""
    yield from _fields(left, original, "", "")


def _fields(left: Any, original: Any, path: str, kind: str) -> Iterator[UnsupportedField]:
    """The entries below a message; `kind` is its path without names of elements."""
    for field, value in left.ListFields():
        whole = getattr(original, field.name)
        for name, part, source in _parts(field, value, whole):
            below = f"{path}.{field.name}".removeprefix(".") + (f'["{name}"]' if name else "")
            yield from _part(field, part, source, (below, _kind(kind, field, name)))


def _kind(kind: str, field: Any, name: str) -> str:
    own = f"{kind}.{field.name}".removeprefix(".")
    keyed = f"{own}.{name}"
    return keyed if _is_map(field) and keyed in ADVICE else own


def _parts(field: Any, value: Any, original: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the values of a field: itself, or each of its elements with a name."""
    if _is_map(field):
        yield from ((str(key), value[key], original[key]) for key in sorted(value))
    elif field.is_repeated and field.message_type is not None:
        for index, (part, source) in enumerate(zip(value, original, strict=True)):
            yield getattr(source, "name", "") or str(index), part, source
    else:
        yield "", value, original


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _part(
    field: Any, part: Any, original: Any, place: tuple[str, str]
) -> Iterator[UnsupportedField]:
    path, kind = place
    if kind not in ADVICE and hasattr(part, "ListFields"):
        yield from _fields(part, original, path, kind)
    else:
        why, remedy = ADVICE.get(kind, UNKNOWN)
        yield UnsupportedField(path, _text(field, part), why, remedy)


def _text(field: Any, value: Any) -> str:
    if hasattr(value, "ListFields"):
        text = "{" + text_format.MessageToString(value, as_one_line=True).strip() + "}"
    elif field.enum_type is not None and not field.is_repeated:
        text = field.enum_type.values_by_number[value].name
    else:
        text = str(list(value) if field.is_repeated and not isinstance(value, str) else value)
    return text if len(text) <= MAX_VALUE_CHARACTERS else text[: MAX_VALUE_CHARACTERS - 1] + "…"
