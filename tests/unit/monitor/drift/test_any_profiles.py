"""Whatever profiles come, in whatever order: the book goes on, and a restart changes nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.data_profiles.binning import bin_count
from headrace.data_profiles.layouts import BinKind, Bins, FieldKind, FieldLayout, Layout, Place
from headrace.data_profiles.profiles import AspectKey, Profile, ProfileKey
from headrace.data_profiles.references import Reference, Source
from headrace_monitor.domain.clock import Moment
from headrace_monitor.domain.drift.drift_book import DriftBook, DriftRules
from headrace_monitor.domain.drift.learning import LearningRules
from headrace_monitor.domain.drift.questions import DriftQuery, answers

_EDGES = st.lists(st.floats(-1e300, 1e300), max_size=80, unique=True).map(
    lambda edges: Bins(BinKind.EDGES, tuple(sorted(edges)))
)
_LABELS = st.integers(0, 90).map(
    lambda size: Bins(BinKind.LABELS, labels=tuple(f"l{place}" for place in range(size)))
)
_BINS = st.one_of(_EDGES, _LABELS, st.just(Bins()))
_FIELDS = st.dictionaries(st.sampled_from("abc"), _BINS, max_size=3)


@st.composite
def _layouts(draw: st.DrawFn) -> Layout:
    fields = draw(_FIELDS)
    return Layout(
        tuple(
            FieldLayout(name, Place.INPUT, FieldKind.NUMBER, name, aspects={"value": bins})
            for name, bins in fields.items()
        ),
        draw(st.sampled_from(["", "one", "two"])),
    )


@st.composite
def _told(draw: st.DrawFn, layouts: list[Layout]) -> tuple[ProfileKey, Layout, Profile]:
    layout = draw(st.sampled_from(layouts))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    most = draw(st.sampled_from([1, 10, 10_000, 2**40]))
    counts = {}
    for field in layout.fields:
        bins = random.integers(0, most, bin_count(field.aspects["value"]))
        counts[AspectKey(field.name, "value")] = bins * (random.random(bins.size) < 0.3)
    part = draw(st.sampled_from(["", "header a=b"]))
    key = ProfileKey("m", draw(st.integers(1, 3)), part)
    return key, layout, Profile(layout.reference, draw(st.integers(0, 20_000)), 0, counts)


class _OneReference:
    def __init__(self, known: Reference) -> None:
        self.known = known

    def reference(self, model: str, version: int, digest: str) -> Reference | None:
        return self.known if self.known.layout.reference == digest else None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_sequence_of_profiles_ends_the_book_or_differs_after_a_restart(
    data: st.DataObject,
) -> None:
    """Also where bins, counts and references fit badly together."""
    layouts = data.draw(st.lists(_layouts(), min_size=1, max_size=3))
    _, of, sample = data.draw(_told(layouts))
    references = _OneReference(Reference(Source.SAMPLES, of, sample))
    rules = DriftRules(learning=LearningRules(2000, 0))
    book = DriftBook(rules, references)
    stored: dict[bytes, bytes] = {}
    for step in range(data.draw(st.integers(1, 12))):
        now = (step * 300 + 10**6) * 10**9
        moment = Moment(now, now)
        book.take(*data.draw(_told(layouts)), moment)
        changes = book.changes(moment)
        stored = {
            **{key: of for key, of in stored.items() if key not in changes.gone},
            **changes.entries,
        }
        book.mark_stored()
        list(answers(book, DriftQuery("m"), moment))
        if data.draw(st.booleans()):
            again = DriftBook(rules, references)
            again.restore(stored.items())
            assert book.open_findings() == again.open_findings()
            book = again
