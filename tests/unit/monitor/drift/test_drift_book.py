"""The book of drift: learns baselines, finds what changed, and goes on after a restart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace.data_profiles.binning import count
from headrace.data_profiles.layouts import BinKind, Bins, FieldKind, FieldLayout, Layout, Place
from headrace.data_profiles.profiles import AspectKey, Profile, ProfileKey
from headrace.data_profiles.references import Reference, Source
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.drift.drift_book import MOST_COMPARED, DriftBook, DriftRules
from headrace_monitor.domain.drift.findings import ReferenceSource
from headrace_monitor.domain.drift.learning import LearningRules
from headrace_monitor.domain.drift.subject import Subject
from headrace_monitor.domain.telemetry.report import Report, VersionProfile

MINUTE = 60 * 10**9
STEP = 20 * 10**9
KEY = ProfileKey("houses", 1)
NAMES = ("age", "income", "rooms")
LEARNT = 20
"""Minutes after which first rows suffice, at 600 a minute."""


def layout(bins: Bins = Bins(), reference: str = "", names: tuple[str, ...] = NAMES) -> Layout:  # noqa: B008
    """Fields of numbers, one an output."""
    fields = [FieldLayout(f"input {name}", Place.INPUT, FieldKind.NUMBER, name) for name in names]
    fields.append(FieldLayout("output value", Place.OUTPUT, FieldKind.NUMBER, "value"))
    return Layout(
        tuple(
            FieldLayout(each.name, each.place, each.kind, each.tensor, aspects={"value": bins})
            for each in fields
        ),
        reference,
    )


class Feed:
    """Reports a book what rows look like, every 20 s."""

    def __init__(self, book: DriftBook, seed: int = 1, minute: int = 1000) -> None:
        self.book = book
        self.random = np.random.default_rng(seed)
        self.step = minute * 3

    @property
    def moment(self) -> Moment:
        return Moment(self.step * STEP, self.step * STEP)

    def minutes(
        self,
        minutes: int,
        key: ProfileKey = KEY,
        *,
        of: Layout | None = None,
        shifts: dict[str, float] | None = None,
    ) -> None:
        """Rows of so many minutes, all values about 5; those of `shifts` are larger."""
        of = of or layout()
        for _ in range(3 * minutes):
            self.step += 1
            profile = self.profile(of, shifts or {})
            report = Report("a", "b", self.step, 0, 0, profiles=(VersionProfile(key, of, profile),))
            self.book.merge(report, self.moment)
            self.book.changes(self.moment)

    def profile(self, of: Layout, shifts: dict[str, float], rows: int = 200) -> Profile:
        counts = {}
        for each in of.fields:
            values = self.random.normal(5 + shifts.get(each.name, 0.0), 1, rows)
            counts[AspectKey(each.name, "value")] = count(each.aspects["value"], values)
        return Profile(of.reference, rows, rows, counts)


def fields(book: DriftBook) -> set[str]:
    """The fields with open findings."""
    return {each.field for each in book.open_findings()}


def test_first_rows_become_the_baseline_and_a_later_shift_is_found() -> None:
    """Without a reference the first rows are one; the field is named, in bins by the floats' bits, too."""
    book = DriftBook()
    feed = Feed(book)
    feed.minutes(LEARNT + 10)
    assert () == book.open_findings()
    feed.minutes(2, shifts={"input income": 1.0})
    (finding,) = (each for each in book.open_findings() if each.concern == "distribution")
    assert ("input income", ReferenceSource.FIRST_ROWS) == (finding.field, finding.source)
    assert finding.change.startswith("mean 4.9") or finding.change.startswith("mean 5")


def test_evidence_and_findings_survive_a_restart() -> None:
    """What was stored is taken up: an open finding is open with its beginning, and closes later."""
    book = DriftBook()
    feed = Feed(book)
    feed.minutes(LEARNT + 5)
    feed.minutes(5, shifts={"input age": 0.7})
    before = book.open_findings()
    restarted = DriftBook()
    restarted.restore(book.changes(feed.moment).entries.items())
    assert before == restarted.open_findings()
    feed.book = restarted
    feed.minutes(60)
    assert () == restarted.open_findings()


def test_what_closes_without_a_row_is_closed_after_a_restart_too() -> None:
    """Bins that are replaced while no rows come close findings; what is stored says so."""
    book = DriftBook()
    feed = Feed(book)
    feed.minutes(LEARNT + 5)
    feed.minutes(5, shifts={"input age": 0.7})
    stored = dict(book.changes(feed.moment).entries)
    book.mark_stored()
    assert book.open_findings()
    feed.step += 10_000
    book.take(KEY, layout(names=("age",)), Profile("", 0, 0, {}), feed.moment)
    stored |= book.changes(feed.moment).entries
    restarted = DriftBook()
    restarted.restore(stored.items())
    assert () == book.open_findings() == restarted.open_findings()


def test_learning_goes_on_after_a_restart() -> None:
    """First rows are stored, too."""
    book = DriftBook()
    feed = Feed(book)
    feed.minutes(LEARNT // 2)
    restarted = DriftBook()
    restarted.restore(book.changes(feed.moment).entries.items())
    feed.book = restarted
    feed.minutes(LEARNT // 2)
    (subject,) = restarted.subjects.values()
    assert subject.panel is not None


def test_what_other_code_stored_begins_anew() -> None:
    """Bytes that cannot be read keep no monitor from starting."""
    book = DriftBook()
    book.restore([(b"a", b"1nothing"), (b"b", b"9")])
    assert {} == book.subjects


class OneReference:
    """A registry that has one reference, once it is given."""

    def __init__(self) -> None:
        self.known: Reference | None = None

    def reference(self, model: str, version: int, digest: str) -> Reference | None:
        return self.known if self.known and self.known.layout.reference == digest else None


def test_rows_are_compared_with_the_registered_reference_from_the_first_on() -> None:
    """Nothing is learnt, and what differs from the reference is found in the first minute."""
    references = OneReference()
    of = layout(Bins(BinKind.EDGES, tuple(np.linspace(2, 8, 33).tolist())), "digest")
    book = DriftBook(references=references)
    feed = Feed(book)
    sample = feed.profile(of, {}, 10_000)
    references.known = Reference(Source.SAMPLES, of, sample)
    feed.minutes(1, of=of)
    assert () == book.open_findings()
    feed.minutes(1, of=of, shifts={"input age": 1.0})
    assert {"input age"} == fields(book)
    assert ReferenceSource.REGISTERED == book.open_findings()[0].source


def test_a_new_version_is_compared_with_the_older_one_until_it_has_its_own_rows() -> None:
    """Its inputs alone: another version may answer otherwise."""
    book = DriftBook()
    feed = Feed(book)
    feed.minutes(LEARNT)
    newer = ProfileKey("houses", 2)
    feed.minutes(3, newer, shifts={"input rooms": 1.0, "output value": 2.0})
    assert {"input rooms"} == fields(book)
    assert ReferenceSource.OTHER_VERSION == book.open_findings()[0].source
    feed.minutes(LEARNT, newer, shifts={"input rooms": 1.0, "output value": 2.0})
    assert set() == fields(book)


def test_the_slice_that_moved_is_named() -> None:
    """Each slice has a baseline of its own, so that those that always differ are no finding."""
    book = DriftBook()
    feed = Feed(book)
    slices = ("header x-region=eu", "header x-region=us")
    for part, usual in zip(slices, (0.0, 3.0), strict=True):
        key = ProfileKey("houses", 1, part)
        feed.minutes(LEARNT + 3, key, shifts={"input age": usual})
    feed.minutes(2, ProfileKey("houses", 1, slices[0]), shifts={"input age": 1.0})
    (cause,) = book.slice_causes("houses", 1)
    assert ("input age", [slices[0]], [slices[1]]) == (cause.field, cause.moved, cause.unmoved)


def test_a_reset_learns_anew() -> None:
    """What the rows are like now is how they are to be from then on."""
    book = DriftBook()
    feed = Feed(book)
    feed.minutes(LEARNT + 3)
    feed.minutes(3, shifts={"input age": 2.0})
    assert {"input age"} == fields(book)
    assert 1 == book.reset("houses", 1, None, feed.moment)
    feed.minutes(LEARNT + 10, shifts={"input age": 2.0})
    assert () == book.open_findings()
    feed.minutes(2)
    assert {"input age"} == fields(book)


def test_what_there_is_no_memory_for_is_not_tested() -> None:
    """It is named, and the others go on."""
    book = DriftBook(DriftRules(memory_bytes=150_000))
    feed = Feed(book)
    feed.minutes(1)
    feed.minutes(1, ProfileKey("flats", 1))
    assert {ProfileKey("houses", 1)} == set(book.subjects)
    assert {ProfileKey("flats", 1)} == book.untested


def test_findings_about_rows_that_come_no_more_are_closed() -> None:
    """They are open again when such rows come again."""
    book = DriftBook()
    feed = Feed(book)
    feed.minutes(LEARNT + 3)
    feed.minutes(3, shifts={"input age": 2.0})
    feed.step += 7 * 3600 // 20
    book.changes(feed.moment)
    assert () == book.open_findings()
    feed.minutes(1, shifts={"input age": 2.0})
    assert {"input age"} == fields(book)


def test_a_version_without_rows_is_forgotten_after_a_week() -> None:
    """Its entry is removed from what is stored."""
    book = DriftBook()
    feed = Feed(book)
    feed.minutes(1)
    book.mark_stored()
    week_later = Moment(feed.moment.now_ns, feed.moment.steady_ns + 8 * 24 * 60 * MINUTE)
    assert [b"houses\x001\x00"] == list(book.changes(week_later).gone)
    assert {} == book.subjects


def test_thousands_that_there_is_no_memory_for_are_told_of_in_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And each is passed by without a look at all that are compared."""
    book = DriftBook(DriftRules(memory_bytes=200_000))
    feed = Feed(book)
    feed.minutes(1)
    looks = 0

    class Counting(dict[ProfileKey, Subject]):
        def values(self) -> Any:
            nonlocal looks
            looks += 1
            return super().values()

    book.subjects = Counting(book.subjects)
    for number in range(1000):
        key = ProfileKey(f"model-{number}", 1)
        book.take(key, layout(), feed.profile(layout(), {}), feed.moment)
    assert 1 == len(caplog.records)
    assert 0 == looks
    assert 1000 == len(book.untested)
    assert book.size_bytes <= 200_000


def test_many_that_are_ready_at_once_get_their_baselines_over_some_steps() -> None:
    """Reports wait for no hundred of them; rows that come meanwhile are learnt from."""
    book = DriftBook(DriftRules(learning=LearningRules(1_000, 1)))
    feed = Feed(book)
    one = Layout(layout().fields[:1])
    keys = [ProfileKey(f"m{number}", 1) for number in range(2 * MOST_COMPARED + 10)]
    compared = []
    for _ in range(12):
        feed.step += 1
        for key in keys:
            book.take(key, one, feed.profile(one, {}), feed.moment)
        book.changes(feed.moment)
        compared.append(sum(book.subjects[key].panel is not None for key in keys))
    assert [0, MOST_COMPARED, 2 * MOST_COMPARED, len(keys)] == sorted(set(compared))
