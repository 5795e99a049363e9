"""Checks that all of the shared state was read: keys can be evicted or deleted by others.

The registry writes with every change how many records of each collection there are after it. A state of
before that, or one whose counts are gone, is held against its newest change instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from headrace import errors
from headrace.state.catalog import Catalog
from headrace.state.changes import Change
from headrace.state.record_collections import COLLECTIONS
from headrace.state.records import ModelRecord

NOT_WHOLE = "STATE_NOT_WHOLE"
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of records after the change with this revision."""

    revision: int
    models: int
    versions: int
    numbers: int | None = None
    """How many names of models have a last version number; None where an older registry counted."""

    further: Mapping[str, int] = field(default_factory=dict)
    """How many records the further collections have, by name; those that are not here were not counted."""

    @classmethod
    def parse(cls, text: bytes | None) -> Counts | None:
        """Return what the key holds, or None where it is not there or no such thing."""
        found = _COUNTS.fullmatch((text or b"").decode(errors="replace"))
        if found is None:
            return None
        revision, models, versions, numbers, further = found.groups()
        named = (each.split("=") for each in further.split(":")[1:])
        return cls(
            int(revision),
            int(models),
            int(versions),
            int(numbers) if numbers else None,
            {name: int(count) for name, count in named},
        )

    def wrong(self, found: Counts) -> str:
        """Return what is wrong with the records that were found, or ''."""
        if not found.revision and self.revision:
            return f"revision {self.revision} was reached, and no revision is there"
        if found.revision != self.revision:
            return ""
        if (found.models, found.versions) != (self.models, self.versions):
            return (
                f"revision {self.revision} has {self.models} model(s) and {self.versions} version(s), and "
                f"{found.models} and {found.versions} are there"
            )
        for name, count in self.further.items():
            there = found.further.get(
                name, count
            )  # a collection that is not known here is not looked at
            if there != count:
                return f"revision {self.revision} has {count} of {name}, and {there} are there"
        return ""

    def wrong_numbers(self, revision: int, numbers: int) -> str:
        """Return what is wrong with last version numbers of so many names at this revision, or ''."""
        if revision != self.revision or self.numbers in (None, numbers):
            return ""
        return f"revision {revision} has {self.numbers} last version number(s), and {numbers} are there"


_COUNTS = re.compile(r"(\d+):(\d+):(\d+)(?::(\d+))?((?::[a-z_]+=\d+)*)", re.ASCII)


def counts_of(catalog: Catalog) -> Counts:
    """Return how many records a catalog has."""
    kept = (each for each in COLLECTIONS.further if each.name not in catalog.without)
    further = {each.name: len(catalog.of(each)) for each in kept}
    return Counts(catalog.revision, len(catalog.models), len(catalog.versions), None, further)


def check_counts(counts: Counts | None, found: Counts) -> None:
    """Pass if there are as many records as were counted. Raises Unavailable (STATE_NOT_WHOLE)."""
    if counts is not None:
        numbers = found.numbers or 0
        wrong = counts.wrong(found) or counts.wrong_numbers(found.revision, numbers)
        if wrong:
            raise not_whole(wrong)


def check_whole(
    catalog: Catalog, counts: Counts | None, newest: Change | None, *, begun: bool = True
) -> None:
    """Pass if the catalog is whole. Raises Unavailable (STATE_NOT_WHOLE) with what is missing.

    `begun` is False where the state has no revision, as before its first change.
    """
    wrong = list(_missing(catalog, counts, newest, begun=begun))
    if wrong:
        more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise not_whole("; ".join(wrong[:_NAMED]) + more)


def not_whole(wrong: str) -> errors.Unavailable:
    """A state of which records are gone."""
    return errors.Unavailable(
        NOT_WHOLE,
        f"records of the shared state are gone ({wrong}): what is left is not believed, and what was known "
        "before is kept; restore the Redis server's data, set its maxmemory-policy to noeviction, and let "
        "nobody else write under its keys",
        retry_after_seconds=5.0,
    )


def _missing(
    catalog: Catalog, counts: Counts | None, newest: Change | None, *, begun: bool
) -> Iterator[str]:
    if not begun and catalog.models:
        yield "the revision is not there"
    if counts is not None and (counts.revision == catalog.revision or not catalog.revision):
        wrong = counts.wrong(counts_of(catalog))
        if wrong:
            yield wrong
    elif catalog.revision:
        yield from _against_change(catalog, newest)
    for model in catalog.models.values():
        yield from _dangling(model, catalog)
    for name, number in catalog.orphans():
        yield f"the model of {name}/{number}"


def _against_change(catalog: Catalog, newest: Change | None) -> Iterator[str]:
    if newest is None or newest.revision != catalog.revision:
        if not catalog.models:
            yield f"at revision {catalog.revision} there is no model, and no change that deleted the last"
        return
    for name, model in newest.models.items():
        if model is not None and name not in catalog.models:
            yield f"the model {name}"
    for key, version in newest.versions.items():
        if version is not None and (version.model, version.number) not in catalog.versions:
            yield f"the version {key}"


def _dangling(model: ModelRecord, catalog: Catalog) -> Iterator[str]:
    named = [(f"alias {alias}", record.version) for alias, record in model.aliases.items()]
    if model.route is not None:
        named += model.route.named()
    for why, number in named:
        if (model.name, number) not in catalog.versions:
            yield f"version {number} of {model.name}, its {why}"
