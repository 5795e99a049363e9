"""Decides which fields a tensor has, and what is looked at of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from headrace.data_profiles.layouts import (
    VALUE,
    BinKind,
    Bins,
    FieldKind,
    FieldLayout,
    Layout,
    Place,
)
from headrace.data_profiles.projections import PROJECTIONS
from headrace.data_profiles.scripts import SCRIPTS

MAX_COLUMNS = 256
"""A tensor with more numbers a row is looked at whole, not by column."""

MAX_TEXTS = 16
"""Of a tensor of texts, the texts of a row that are looked at."""

MAX_CLASSES = 4096
MAX_FIELDS = 1024
"""Of a version; those behind are left out, outputs first."""

LENGTH, SCRIPT, BUCKET = "length", "script", "bucket"
"""Aspects of a text: its characters, its script, and one of BUCKETS by a hash, which tells no text."""

BUCKETS = 64

NORM, MEAN, DEVIATION = "norm", "mean", "std"
"""Aspects of a whole tensor, beside its projections."""

CLASS, CONFIDENCE = "class", "confidence"
"""Aspects of an output that weighs classes."""

_WEIGHTS = re.compile(r"prob|score|logit|softmax|confidence", re.IGNORECASE)
_FLOAT_BITS = Bins()


def tensor_fields(
    place: Place,
    tensor: str,
    columns: int | None,
    *,
    is_text: bool,
    is_float: bool,
    labels: Sequence[str] = (),
) -> Iterator[FieldLayout]:
    """Yield the fields of a tensor of so many elements a row (None: it varies), in bins without learning.

    An output of weights is one whose classes have names (`labels`), or whose own name says so.
    """
    name = f"{place.value} {tensor}"
    if is_text:
        for at in _places(columns or 1, MAX_TEXTS):
            yield FieldLayout(_column(name, at), place, FieldKind.TEXT, tensor, at, _text_aspects())
    elif place is Place.OUTPUT and is_float and _weighs_classes(tensor, columns, labels):
        names = tuple(labels) or tuple(map(str, range(columns or 0)))
        aspects = {CLASS: Bins(BinKind.LABELS, labels=names), CONFIDENCE: _FLOAT_BITS}
        yield FieldLayout(name, place, FieldKind.CLASS, tensor, -1, aspects)
    elif columns is None or columns > MAX_COLUMNS:
        yield FieldLayout(name, place, FieldKind.TENSOR, tensor, -1, _tensor_aspects())
    else:
        aspects = {VALUE: _FLOAT_BITS}
        for at in _places(columns, MAX_COLUMNS):
            yield FieldLayout(_column(name, at), place, FieldKind.NUMBER, tensor, at, aspects)


def length_field(what: str) -> FieldLayout:
    """The field of a length in tokens, such as that of a prompt; answers are outputs."""
    place = Place.INPUT if what == "prompt" else Place.OUTPUT
    return FieldLayout(f"length {what}", place, FieldKind.LENGTH, "", -1, {VALUE: _FLOAT_BITS})


def layout_of(fields: Iterator[FieldLayout]) -> Layout:
    """A layout of the first MAX_FIELDS of these."""
    return Layout(tuple(field for _, field in zip(range(MAX_FIELDS), fields, strict=False)))


def _places(columns: int, most: int) -> Iterator[int]:
    return iter([-1]) if columns == 1 else iter(range(min(columns, most)))


def _column(name: str, at: int) -> str:
    return name if at < 0 else f"{name}[{at}]"


def _weighs_classes(tensor: str, columns: int | None, labels: Sequence[str]) -> bool:
    if columns is None or not 1 < columns <= MAX_CLASSES:
        return False
    return len(labels) == columns if labels else bool(_WEIGHTS.search(tensor))


def _text_aspects() -> dict[str, Bins]:
    return {
        LENGTH: _FLOAT_BITS,
        SCRIPT: Bins(BinKind.LABELS, labels=SCRIPTS),
        BUCKET: Bins(BinKind.LABELS, labels=tuple(map(str, range(BUCKETS)))),
    }


def _tensor_aspects() -> dict[str, Bins]:
    names = (NORM, MEAN, DEVIATION, *(projection(number) for number in range(PROJECTIONS)))
    return dict.fromkeys(names, _FLOAT_BITS)


def projection(number: int) -> str:
    """The name of the aspect that a projection is."""
    return f"projection {number}"
