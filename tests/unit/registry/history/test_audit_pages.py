"""Pages of the log for those who audit it."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.conversion.times import timestamp_from_proto, timestamp_to_proto
from headrace.state.changes import Change, encode_change
from headrace.state.stored_changes import StoredChange
from headrace_registry.domain.history import audit
from headrace_registry.domain.history.audit import AuditFilter, read_page

LENGTH = 5000
LOG = [
    StoredChange(
        revision,
        encode_change(Change(revision, "model.update", f"models/m{revision % 10}", "ann", 1.0, "")),
    )
    for revision in range(1, LENGTH + 1)
]


class Log:
    """A log in memory, read a hundred entries at a time."""

    async def stored_after(self, revision: int) -> Sequence[StoredChange]:
        """The next ones."""
        return LOG[revision : revision + 100]

    async def stored_before(self, revision: int) -> Sequence[StoredChange]:
        """The ones before."""
        end = revision - 1 if revision else LENGTH
        return LOG[max(0, end - 100) : end][::-1]


async def walk(wanted: AuditFilter, size: int, *, oldest_first: bool) -> list[list[int]]:
    """The revisions on each page."""
    pages, place = [], 0
    while True:
        page = await read_page(Log(), wanted, place, size, oldest_first=oldest_first)
        pages.append([change.revision for change in page.changes])
        place = page.next_revision
        if not place:
            return pages


async def test_pages_have_every_change_once() -> None:
    """In both directions, whatever their size."""
    for size in (1, 99, 100, 1000):
        forwards = await walk(AuditFilter(), size, oldest_first=True)
        backwards = await walk(AuditFilter(), size, oldest_first=False)
        assert list(range(1, LENGTH + 1)) == [one for page in forwards for one in page]
        assert list(range(LENGTH, 0, -1)) == [one for page in backwards for one in page]
        assert size == max(map(len, forwards))


async def test_no_page_looks_at_all_of_a_long_log() -> None:
    """What is rare is found over several pages, which may be empty."""
    rare = await walk(AuditFilter(actor="bob"), 10, oldest_first=True)
    assert [[]] * (LENGTH // audit.LOOKED_AT + 1) == rare
    some = await walk(AuditFilter(resource="models/m3"), 1000, oldest_first=False)
    assert [4993, 4983] == some[0][:2]
    assert LENGTH // 10 == sum(map(len, some))


def test_a_change_is_found_by_the_time_that_was_told_of_it() -> None:
    """Messages have whole microseconds, which a time is not: it is since then, and not before then."""
    for number in range(1000):
        at = 1_796_000_000 + number * 0.0123456789
        change = StoredChange(
            1, encode_change(Change(1, "route.update", "routes/m", "ann", at, ""))
        )
        told = timestamp_from_proto(timestamp_to_proto(at))
        assert AuditFilter(since=told).takes(change)
        assert not AuditFilter(until=told).takes(change)
