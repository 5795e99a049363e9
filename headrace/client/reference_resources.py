"""What the client hands out of references. All are immutable; times are seconds since the Unix epoch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReferenceField:
    """A field of a reference, and what was learnt of it: bounds hold where they are there."""

    name: str
    kind: str
    """number, category, text, tensor, class, length."""
    bins: int
    lowest: float | None = None
    highest: float | None = None
    categories: tuple[str, ...] | None = None
    missing_rate: float = 0.0
    enforcement: str = "count"
    """What is done with rows that differ: count, flag, reject."""
    typical: float | str | None = None
    """The median of numbers, the most frequent category; None where it is not known."""


@dataclass(frozen=True, slots=True)
class VersionReference:
    """How the data of a version looked when all was well."""

    model: str
    version: int
    digest: str
    rows: int
    size_bytes: int
    source: str
    """samples, traffic, version."""
    origin: str
    created_at: float
    updated_at: float
    etag: str
    fields: tuple[ReferenceField, ...] = ()
    """None in answers to changes; `AsyncClient.reference` has them."""
