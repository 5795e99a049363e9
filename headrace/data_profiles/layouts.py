"""The nouns of profiles: the fields of a version, and the bins in which their values are counted.

A *field* is what drift and quality of data are told of: a column of a tensor of numbers, a text, a whole
image or embedding, the class that an output chose, the length of a prompt. A field is looked at in one or
more *aspects* (the value; of a text its length and script; of an embedding its norm and projections), and
each aspect has bins. Profiles of the same layout add up, exactly, over replicas and time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

VALUE = "value"
"""The aspect that fields of one value a row have."""


class Place(StrEnum):
    """Where a field is."""

    INPUT = "input"
    OUTPUT = "output"


class FieldKind(StrEnum):
    """What a field's values are."""

    NUMBER = "number"
    """One number a row."""
    CATEGORY = "category"
    """One of some texts, whole numbers or truth values a row."""
    TEXT = "text"
    """One text a row: its length, its script, and a bucket by its hash."""
    TENSOR = "tensor"
    """Many numbers a row, an image or an embedding: its norm, moments, and fixed random projections."""
    CLASS = "class"
    """An output that weighs classes: the class of most weight, and its weight as confidence."""
    LENGTH = "length"
    """A whole number of 0 or more, such as the tokens of a prompt."""


class BinKind(StrEnum):
    """How bins tell values apart."""

    FLOAT_BITS = "float_bits"
    """By sign, exponent and the first three bits behind it: 8 an octave, with nothing to learn."""
    EDGES = "edges"
    """By edges, which are the quantiles of a reference."""
    LABELS = "labels"
    """By equality with labels."""


@dataclass(frozen=True, slots=True)
class Bins:
    """The bins of one aspect of a field.

    Bin 0 counts what is missing (NaN, an empty or absent value), bin 1 what is infinite, of every kind. Of
    EDGES follow what is below the first edge, one bin for each pair of edges, what is above the last; of
    LABELS one for each label, and the last for all others; of FLOAT_BITS those of `float_bits.py`.
    """

    kind: BinKind = BinKind.FLOAT_BITS
    edges: tuple[float, ...] = ()
    """Ascending; a bin holds values in (edge, next edge], the first of them its lower edge, too."""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldLayout:
    """One field: its name, which says where it is, and the bins of its aspects."""

    name: str
    """`input x`, `input x[3]` for a column, `output label`, `length prompt`: unique in a version."""
    place: Place
    kind: FieldKind
    tensor: str
    """The name of the input or output; '' where it is none."""
    column: int = -1
    """The column of the flattened row; -1: all of the row."""
    aspects: Mapping[str, Bins] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """All fields of a version that are profiled."""

    fields: tuple[FieldLayout, ...] = ()
    reference: str = ""
    """The digest of the reference whose bins these are; '' where there is none yet."""
