"""The ledger: every report counts once, whatever is sent again, and what changed is what is stored."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

from headrace import errors
from headrace.telemetry.measures import BATCHES, ERRORS, ROUTES, ROWS, SUCCESSES, Measure, Value
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.ingestion.books import BookChanges
from headrace_monitor.domain.ingestion.ingestion import open_ingestion
from headrace_monitor.domain.ledger import totals
from headrace_monitor.domain.ledger.ledger import (
    CHECKPOINT_SECONDS,
    MAX_SESSIONS_OF_A_REPLICA,
    Ledger,
    LedgerSnapshot,
)
from headrace_monitor.domain.ledger.totals import VersionKey
from headrace_monitor.domain.ledger.windows import resolutions
from headrace_monitor.domain.limits import DEFAULT_LIMITS, SILENT_SECONDS, Limits
from headrace_monitor.domain.queries.query_engine import Query, QueryEngine, ReplicaStatistics
from headrace_monitor.domain.replicas.replica_sessions import REMEMBERED, ReplicaSession, SessionKey
from headrace_monitor.domain.telemetry import encoding
from headrace_monitor.domain.telemetry.cardinality import MAX_BATCH_SIZES
from headrace_monitor.domain.telemetry.report import NANOSECONDS, Report, Series, VersionTelemetry
from headrace_monitor.domain.telemetry.tally import Tally

NOW = 1_000_000 * NANOSECONDS
HOUR = 3600 * NANOSECONDS
LIMIT = 64 * 2**20


def at(time_ns: int) -> Moment:
    """A moment at which both times agree."""
    return Moment(time_ns, time_ns)


def new_ledger(
    snapshot: LedgerSnapshot | None = None, now_ns: int = NOW, limits: Limits = DEFAULT_LIMITS
) -> Ledger:
    return Ledger(resolutions(24), LIMIT, snapshot or LedgerSnapshot(), at(now_ns), limits)


def report(sequence: int, *, boot_id: str = "boot", end_ns: int = NOW, dropped: int = 0) -> Report:
    telemetry = VersionTelemetry.of("digits", 1, Tally({SUCCESSES: 1}))
    return Report("a", boot_id, sequence, end_ns - 1, end_ns, (telemetry,), dropped)


def requests(ledger: Ledger) -> int:
    return ledger.totals.versions[VersionKey("digits", 1)][SUCCESSES]


@pytest.mark.parametrize("seed", range(10))
def test_each_sequence_counts_once_in_any_order(seed: int) -> None:
    """Shuffled and repeated reports count as often as there are different ones."""
    order = [1 + number % 300 for number in range(900)]
    random.Random(seed).shuffle(order)
    ledger = new_ledger()
    for sequence in order:
        ledger.merge(report(sequence), at(NOW))
    assert (300, 300) == (requests(ledger), ledger.totals.reports)


def test_another_session_counts_anew() -> None:
    """Sequence numbers start again with a new boot id."""
    ledger = new_ledger()
    for boot_id in ("one", "two", "one"):
        ledger.merge(report(1, boot_id=boot_id), at(NOW))
    assert 2 == requests(ledger)


@pytest.mark.parametrize(
    ("merged", "asked", "known"),
    [
        ([], 1, False),
        ([1], 1, True),
        ([1], 2, False),
        ([1, 3], 2, False),
        ([3, 1], 1, True),
        ([1, 1 + REMEMBERED], 1, True),  # too old to tell: taken as merged
        ([1 + REMEMBERED], 2, False),
        ([1, 10 * REMEMBERED], 10 * REMEMBERED - 1, False),
    ],
)
def test_a_session_knows_what_was_merged(merged: list[int], asked: int, known: bool) -> None:
    """A session tells apart all numbers near the highest."""
    session = ReplicaSession()
    for sequence in merged:
        session = session.after(report(sequence), NOW)
    assert known == session.has(asked)


async def test_a_report_from_the_future_counts_now() -> None:
    """A replica whose clock is ahead is not invisible until the monitor's has caught up."""
    ledger = new_ledger()
    ledger.merge(report(1, end_ns=NOW + HOUR), at(NOW))
    statistics = await QueryEngine(ledger, lambda: at(NOW)).statistics(Query())
    assert [1] == [version.tally[SUCCESSES] for version in statistics.versions]
    assert (ReplicaStatistics("a", NOW, 0, HOUR),) == statistics.replicas


def test_dropped_reports_add_up_over_sessions() -> None:
    """What a replica dropped grows with every session, though each session counts from 0."""
    ledger = new_ledger()
    ledger.merge(report(1, boot_id="one", dropped=3), at(NOW))
    ledger.merge(report(2, boot_id="one", dropped=5), at(NOW))
    ledger.merge(report(1, boot_id="two", dropped=2), at(NOW))
    assert {"a": 7} == ledger.totals.dropped


def test_sessions_go_when_their_reports_would_be_too_old_to_count() -> None:
    """A session is remembered as long as the windows are, and then goes with what its replica dropped."""
    ledger = new_ledger()
    ledger.merge(report(1, dropped=1), at(NOW))
    assert {SessionKey("a", "boot")} == ledger.changes(at(NOW + 24 * HOUR)).sessions.keys()
    gone = ledger.checkpoint(at(NOW + 24 * HOUR + 1))
    assert [SessionKey("a", "boot")] == list(gone.gone_sessions)
    assert (0, 0) == (len(ledger.sessions), len(ledger.totals.dropped))


def test_invented_sessions_take_no_other_replicas_place() -> None:
    """A replica keeps the newest of its sessions; another's stays, and its reports count once."""
    ledger = new_ledger()
    ledger.merge(replace(report(1), replica="b"), at(NOW))
    for number in range(MAX_SESSIONS_OF_A_REPLICA + 50):
        ledger.merge(report(1, boot_id=f"{number}"), at(NOW + number))
    ledger.merge(replace(report(1), replica="b"), at(NOW + 500))
    gone = ledger.checkpoint(at(NOW + 500)).gone_sessions
    assert {SessionKey("a", f"{number}") for number in range(50)} == gone
    assert MAX_SESSIONS_OF_A_REPLICA + 1 == len(ledger.sessions)
    assert MAX_SESSIONS_OF_A_REPLICA + 51 == requests(ledger)


def test_a_session_that_goes_on_after_its_last_report_has_not_ended() -> None:
    """Only the newest report says whether a session ended."""
    session = ReplicaSession()
    ended = []
    for sequence, last in ((1, True), (3, False), (2, True), (4, True), (4, False)):
        session = session.after(replace(report(sequence), last=last), NOW)
        ended.append(session.ended)
    assert [True, False, False, True, True] == ended


def test_changes_are_what_was_not_stored() -> None:
    """A report is given until it is stored, and then no more; a checkpoint gives what changed."""
    ledger = new_ledger()
    ledger.merge(report(1), at(NOW))
    first, again = ledger.changes(at(NOW)), ledger.changes(at(NOW))
    assert (1, first.journal) == (len(first.journal), again.journal)
    ledger.mark_stored(again)
    assert () == ledger.changes(at(NOW)).journal
    checkpoint = ledger.checkpoint(at(NOW))
    changed = len(checkpoint.windows), len(checkpoint.sessions), len(checkpoint.totals)
    assert (3, 1, 1) == changed
    ledger.mark_stored(checkpoint)
    empty = ledger.checkpoint(at(NOW))
    assert ({}, {}, {}) == (empty.windows, empty.sessions, empty.totals)


def test_a_checkpoint_is_due_after_a_minute_or_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a start reads few reports again; where none can be stored, their bytes do not pile up."""
    ledger = new_ledger()
    later = at(NOW + CHECKPOINT_SECONDS * NANOSECONDS)
    due = [ledger.changes(each).is_checkpoint for each in (at(NOW), later, later)]
    assert [False, True, False] == due
    monkeypatch.setattr("headrace_monitor.domain.ledger.ledger.JOURNAL_BYTES", 1000)
    monkeypatch.setattr("headrace_monitor.domain.ledger.ledger.UNSTORED_BYTES", 2000)
    checkpoints, kept = [], []
    for sequence in range(1, 40):
        ledger.merge(report(sequence), later)
        changes = ledger.changes(later)
        checkpoints.append(changes.is_checkpoint)
        kept.append(sum(map(len, changes.journal)))
        if sequence < 20:
            ledger.mark_stored(changes)
    assert any(checkpoints[:20])
    assert checkpoints[-1]
    assert max(kept) <= 2000


def test_a_start_after_any_report_counts_the_same() -> None:
    """From the last checkpoint and the reports after it, or from a checkpoint now: the same ledger."""
    ledger, stored, entries = new_ledger(limits=Limits(versions=3)), LedgerSnapshot(), list[bytes]()
    for sequence in range(1, 30):
        merged(ledger, sequence, NOW + sequence * NANOSECONDS // 2, f"m{sequence % 5}", {ROWS: 1})
        changes = ledger.changes(at(NOW + sequence * NANOSECONDS // 2))
        ledger.mark_stored(changes)
        entries += changes.journal
        stored = replace(stored, journal=entries, steady_ns=NOW)
        again = new_ledger(stored, NOW + 20 * NANOSECONDS, Limits(versions=3))
        assert facts(ledger) == facts(again)
    whole = new_ledger(ledger.checkpoint(at(NOW + 20 * NANOSECONDS)), NOW + 20 * NANOSECONDS)
    assert facts(ledger) == facts(whole)


def facts(ledger: Ledger) -> tuple[object, ...]:
    """All that a ledger counted."""
    rows: dict[tuple[int, int, Series], int] = {}
    for resolution in resolutions(24):
        for start, series, cell in ledger.windows.between(resolution.seconds, 0, 2**40):
            place = resolution.seconds, start, series
            rows[place] = rows.get(place, 0) + encoding.decode(cell)[ROWS]
    totals_of = {key: tally[ROWS] for key, tally in ledger.totals.versions.items()}
    return rows, totals_of, ledger.sessions, ledger.totals.reports


async def test_a_ledger_goes_on_from_its_contents() -> None:
    """What one ledger gave to store is what the next one knows."""
    first = new_ledger()
    for sequence in range(1, 6):
        first.merge(report(sequence, dropped=sequence), at(NOW))
    second = new_ledger(first.changes(at(NOW)))
    second.merge(report(5), at(NOW))
    second.merge(report(6, dropped=6), at(NOW))
    assert (6, 6, {"a": 6}) == (requests(second), second.totals.reports, second.totals.dropped)
    query_engine = QueryEngine(second, lambda: at(NOW))
    statistics = await query_engine.statistics(Query())
    assert [6] == [version.tally[SUCCESSES] for version in statistics.versions]


def test_old_contents_are_not_taken_up() -> None:
    """Windows that grew too old while no monitor ran are dropped at the start; totals stay."""
    first = new_ledger()
    first.merge(report(1), at(NOW))
    second = new_ledger(first.changes(at(NOW)), NOW + 25 * HOUR)
    assert (0, 1) == (second.windows.size_bytes, requests(second))


def test_versions_over_the_limit_count_together() -> None:
    """Totals hold a bounded number of versions; the rest is counted under one name."""
    ledger = new_ledger(limits=Limits(versions=2))
    names = itertools.cycle(["one", "two", "three", "four"])
    for sequence in range(1, 9):
        version = VersionTelemetry.of(next(names), 1, Tally({SUCCESSES: 1}))
        ledger.merge(replace(report(sequence), versions=(version,)), at(NOW))
    counted = {key.model: tally[SUCCESSES] for key, tally in ledger.totals.versions.items()}
    assert {"one": 2, "two": 2, totals.OTHER.model: 4} == counted


def merged(
    ledger: Ledger, sequence: int, now_ns: int, model: str, counts: Mapping[Measure[Value], Value]
) -> None:
    version = VersionTelemetry.of(model, 1, Tally(counts))
    ledger.merge(replace(report(sequence, end_ns=now_ns), versions=(version,)), at(now_ns))


def test_a_silent_version_gives_its_place_to_a_new_one() -> None:
    """When there is no room, a version that was silent for ten minutes goes, and is gone from the store."""
    ledger, late = new_ledger(limits=Limits(versions=2)), NOW + SILENT_SECONDS * NANOSECONDS
    for sequence, (model, now_ns) in enumerate(
        [("one", NOW), ("two", NOW + 1), ("new", late), ("new", late + 1), ("newer", late + 1)],
        start=1,
    ):
        merged(ledger, sequence, now_ns, model, {SUCCESSES: 1})
    assert {"two": 1, "new": 1, "_other": 2} == {
        key.model: tally[SUCCESSES] for key, tally in ledger.totals.versions.items()
    } | {"_other": ledger.totals.versions[totals.OTHER][SUCCESSES]}
    assert {VersionKey("one", 1)} == ledger.checkpoint(at(late + 1)).gone_totals


def test_what_was_silent_past_the_windows_is_gone() -> None:
    """A version that nobody reported for as long as windows are kept leaves the totals and the store."""
    ledger = new_ledger()
    merged(ledger, 1, NOW, "digits", {SUCCESSES: 1})
    assert frozenset() == ledger.checkpoint(at(NOW + 24 * HOUR)).gone_totals
    gone = ledger.checkpoint(at(NOW + 24 * HOUR + 1))
    assert {VersionKey("digits", 1)} == gone.gone_totals
    assert {} == gone.totals
    assert {} == ledger.totals.versions


async def test_a_clock_that_was_ahead_for_a_moment_stops_nothing() -> None:
    """After a jump of a day and back, what is reported is seen again at once, not a day later."""
    ledger = new_ledger()
    ledger.merge(report(1), at(NOW))
    ledger.changes(at(NOW + 25 * HOUR))
    ledger.changes(at(NOW + 1))
    ledger.merge(report(2), at(NOW + 1))
    statistics = await QueryEngine(ledger, lambda: at(NOW + 1)).statistics(Query())
    assert [1] == [version.tally[SUCCESSES] for version in statistics.versions]


def test_reasons_over_the_limit_count_together() -> None:
    """A version keeps a bounded number of reasons and routes; the sums stay right."""
    ledger = new_ledger(limits=Limits(reasons=3))
    for sequence in range(1, 101):
        counts = {f"R{sequence}": 1, "R1": 1}
        merged(ledger, sequence, NOW, "digits", {ERRORS: counts, ROUTES: counts})
    tally = ledger.totals.versions[VersionKey("digits", 1)]
    expected = {"R1": 100, "R2": 1, "R3": 1, "_other": 97}
    assert (expected, expected) == (tally[ERRORS], tally[ROUTES])


def test_labels_of_unknown_measures_have_the_same_limit() -> None:
    """What a newer replica counts by label cannot grow the monitor either."""
    ledger = new_ledger(limits=Limits(reasons=3))
    for sequence in range(1, 11):
        tally = Tally.by_key({"l:tenants": {f"T{sequence}": 1}})
        version = VersionTelemetry.of("digits", 1, tally)
        ledger.merge(replace(report(sequence), versions=(version,)), at(NOW))
    counted = dict(ledger.totals.versions[VersionKey("digits", 1)].items())
    assert {"l:tenants": {"T1": 1, "T2": 1, "T3": 1, "_other": 7}} == counted


@pytest.mark.parametrize(("reasons", "weight"), [(1, 1), (200, 1), (1000, 3)])
def test_a_report_weighs_what_its_tallies_take(reasons: int, weight: int) -> None:
    """Reports that wait are bounded by memory: a large tally counts as several."""
    tally = Tally({ERRORS: {f"R{number:05}": 1 for number in range(reasons)}})
    versions = (VersionTelemetry.of("digits", 1, tally),) * 2
    assert 2 * weight == replace(report(1), versions=versions).weight
    assert 1 == replace(report(1), versions=()).weight


def test_batch_sizes_over_the_limit_count_at_powers_of_two() -> None:
    """Invented batch sizes do not grow the monitor, and the metric's buckets stay exact."""
    ledger = new_ledger()
    for sequence in range(1, 11):
        sizes = range(sequence * 1000, sequence * 1000 + 1000)
        merged(ledger, sequence, NOW, "digits", {BATCHES: dict.fromkeys(sizes, 1)})
    counts = ledger.totals.versions[VersionKey("digits", 1)][BATCHES]
    assert 10_000 == sum(counts.values())
    assert MAX_BATCH_SIZES < len(counts) < MAX_BATCH_SIZES + 20
    assert 7193 == sum(count for rows, count in counts.items() if rows <= 8192)


class TroubledStore:
    """A store that refuses while `troubled`, and remembers what it was given."""

    def __init__(self) -> None:
        self.troubled = False
        self.saved: list[LedgerSnapshot] = []

    async def save(self, changes: LedgerSnapshot, books: Mapping[str, BookChanges]) -> None:
        if self.troubled:
            raise errors.Unavailable("TELEMETRY_STORE_UNAVAILABLE", "no space left")
        self.saved.append(changes)

    async def entries_of(self, book: str) -> list[tuple[bytes, bytes]]:
        return []


async def test_reports_that_wait_are_stored_together() -> None:
    """Many reports at once make one transaction."""
    store, ledger = TroubledStore(), new_ledger()
    async with open_ingestion(ledger, store, lambda: at(NOW)) as ingestion:
        stored = await asyncio.gather(*(ingestion.accept(report(n)) for n in range(1, 51)))
    assert list(range(1, 51)) == stored
    assert [50, 0] == [len(changes.journal) for changes in store.saved]
    assert [False, True] == [changes.is_checkpoint for changes in store.saved]


async def test_what_could_not_be_stored_is_stored_when_sent_again() -> None:
    """A report that failed to be stored, sent again, is acknowledged once it is, and counts once."""
    store, ledger = TroubledStore(), new_ledger()
    async with open_ingestion(ledger, store, lambda: at(NOW)) as ingestion:
        store.troubled = True
        with pytest.raises(errors.Unavailable):
            await ingestion.accept(report(1))
        failed = [ingestion.failed]
        store.troubled = False
        assert 1 == await ingestion.accept(report(1))
        failed.append(ingestion.failed)
    assert [True, False] == failed
    changes, at_the_end = store.saved
    assert 1 == len(changes.journal)
    (windows,) = {tuple(cells.values()) for cells in at_the_end.windows.values()}
    assert [1] == [encoding.decode(cell)[SUCCESSES] for cell in windows]


async def test_too_many_waiting_reports_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue in front of the store has a bound, and says so with a time to come again."""
    monkeypatch.setattr("headrace_monitor.domain.ingestion.ingestion.MAX_WAITING", 2)
    async with open_ingestion(new_ledger(), TroubledStore(), lambda: at(NOW)) as ingestion:
        tasks = [asyncio.ensure_future(ingestion.accept(report(n))) for n in (1, 2, 3)]
        *stored, refused = await asyncio.gather(*tasks, return_exceptions=True)
    assert [1, 2] == stored
    assert isinstance(refused, errors.ResourceExhausted)
    assert ("INTAKE_FULL", 1.0) == (refused.reason, refused.retry_after_seconds)


async def test_a_replica_too_many_is_refused_until_another_is_silent() -> None:
    """Invented replicas are refused, those that are known go on, and a silent one's place is given away."""
    now = [NOW]
    limits = Limits(replicas=2)
    async with open_ingestion(
        new_ledger(), TroubledStore(), lambda: at(now[0]), limits
    ) as ingestion:
        for replica in ("a", "b"):
            await ingestion.accept(replace(report(1), replica=replica))
        with pytest.raises(errors.ResourceExhausted) as caught:
            await ingestion.accept(replace(report(1), replica="c"))
        now[0] += SILENT_SECONDS * NANOSECONDS
        await ingestion.accept(replace(report(2), replica="b"))
        now[0] += 1
        await ingestion.accept(replace(report(1), replica="c"))
    assert ("TOO_MANY_REPLICAS", {"limit": "2", "setting": "max_replicas"}) == (
        caught.value.reason,
        caught.value.facts,
    )


async def test_replicas_are_known_after_a_restart() -> None:
    """A monitor that starts anew counts those that reported just before."""
    first = new_ledger()
    first.merge(report(1), at(NOW))
    second = new_ledger(first.changes(at(NOW)))
    async with open_ingestion(
        second, TroubledStore(), lambda: at(NOW), Limits(replicas=1)
    ) as ingestion:
        assert 2 == await ingestion.accept(report(2))
        with pytest.raises(errors.ResourceExhausted):
            await ingestion.accept(replace(report(1), replica="b"))


async def test_what_grew_too_old_goes_without_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody reports any more, old windows are dropped all the same."""
    monkeypatch.setattr("headrace_monitor.domain.ingestion.ingestion.IDLE_SECONDS", 0.01)
    now, stored = [NOW], asyncio.Event()
    ledger = new_ledger()

    class Watched(TroubledStore):
        async def save(self, changes: LedgerSnapshot, books: Mapping[str, BookChanges]) -> None:
            await super().save(changes, books)
            if changes.gone_totals:
                stored.set()

    async with open_ingestion(ledger, Watched(), lambda: at(now[0])) as ingestion:
        await ingestion.accept(report(1))
        now[0] += 25 * HOUR
        async with asyncio.timeout(10):
            await stored.wait()
    assert (0, {}, {}) == (ledger.windows.size_bytes, ledger.sessions, ledger.totals.versions)
