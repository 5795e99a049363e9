"""Says when two records describe the same version: by what is served, never by the number.

A number is given once in one shared state. Where that state was lost and begun anew, or where a caller's
own model had the name before, the same name and number stand for other bytes.
"""

from __future__ import annotations

from contextlib import suppress

from headrace.errors import DataLoss
from headrace.state.catalog import Catalog
from headrace.state.desired import Key
from headrace.state.records import ServingConfig, Signature, VersionRecord

Identity = tuple[str, str, Signature, ServingConfig]
"""The files by their digest, which of them is the graph, and how callers see it and have it run."""


def identity(record: VersionRecord) -> Identity:
    """Everything of a version that decides its answers."""
    return record.digest, record.graph_path, record.signature, record.config


def record_in(catalog: Catalog, key: Key) -> VersionRecord | None:
    """Return what a catalog says of a version; None where there is none, or nobody can read its record."""
    with suppress(DataLoss):
        return catalog.versions.get(key)
    return None


def is_other(record: VersionRecord | None, key: Key, catalog: Catalog) -> bool:
    """Return whether a catalog's version of this number is another than that record, or None."""
    now = record_in(catalog, key)
    return now is not None and (record is None or not same_version(record, now))


def same_version(one: VersionRecord, other: VersionRecord) -> bool:
    """Return whether what is loaded of one serves as the other."""
    return one is other or identity(one) == identity(other)
