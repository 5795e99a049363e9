"""Whether what was read of the shared state is all of it: keys can be evicted or deleted by others.

The registry writes with every change how many models and versions there are after it. A state of before
that, or one whose counts are gone, is held against its newest change instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from headrace import errors
from headrace.state.catalog import Catalog
from headrace.state.changes import Change
from headrace.state.records import ModelRecord

NOT_WHOLE = "STATE_NOT_WHOLE"
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Counts:
    """How many records there were after the change with this revision."""

    revision: int
    models: int
    versions: int
    numbers: int | None = None
    """How many names of models have a last version number; None where an older registry counted."""

    @classmethod
    def parse(cls, text: bytes | None) -> Counts | None:
        """What the key holds, or None where it is not there or no such thing."""
        parts = (text or b"").split(b":")
        if len(parts) not in (3, 4) or not all(part.isdigit() for part in parts):
            return None
        return cls(*(int(part) for part in parts))

    def wrong(self, revision: int, models: int, versions: int) -> str:
        """What is wrong with so many records at this revision, or ''."""
        if not revision and self.revision:
            return f"revision {self.revision} was reached, and no revision is there"
        if revision != self.revision or (models, versions) == (self.models, self.versions):
            return ""
        return (
            f"revision {revision} has {self.models} model(s) and {self.versions} version(s), and "
            f"{models} and {versions} are there"
        )

    def wrong_numbers(self, revision: int, numbers: int) -> str:
        """What is wrong with last version numbers of so many names at this revision, or ''."""
        if revision != self.revision or self.numbers in (None, numbers):
            return ""
        return f"revision {revision} has {self.numbers} last version number(s), and {numbers} are there"


def check_counts(
    counts: Counts | None, revision: int, models: int, versions: int, numbers: int
) -> None:
    """Pass if there are as many records as were counted. Raises Unavailable (STATE_NOT_WHOLE)."""
    if counts is not None:
        wrong = counts.wrong(revision, models, versions) or counts.wrong_numbers(revision, numbers)
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
        wrong = counts.wrong(catalog.revision, len(catalog.models), len(catalog.versions))
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
