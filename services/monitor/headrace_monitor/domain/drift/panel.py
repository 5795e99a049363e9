"""A panel: the fields of one version, or of a slice of it, tested against their baselines step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from headrace.data_profiles.profiles import AspectKey, ProfileKey
from headrace_monitor.domain.drift.baselines import Baseline
from headrace_monitor.domain.drift.effect_sizes import effects_of
from headrace_monitor.domain.drift.events import VALUES, Ints, events_of
from headrace_monitor.domain.drift.evidence import place_bets
from headrace_monitor.domain.drift.findings import Concern, Effects, Finding, ReferenceSource
from headrace_monitor.domain.drift.proportion_bounds import Floats, divergence
from headrace_monitor.domain.drift.recent_rows import RecentRows
from headrace_monitor.domain.drift.wording import change_of

MINUTE_NS = 60 * 10**9

REFRESH_MINUTES = 10
"""An open finding's figures are brought up to date so often."""

KEPT_CLOSED = 50
"""So many closed findings are remembered, the newest."""

FindingKey = tuple[AspectKey, Concern]


class Panel:
    """Holds the evidence of all tests, the newest rows, and what was found."""

    def __init__(
        self, key: ProfileKey, baselines: Sequence[Baseline], *, margin: float, alpha: float
    ) -> None:
        self.key = key
        self.baselines = tuple(baselines)
        self.spans, first = [], 0
        for each in self.baselines:
            self.spans.append(each.span(first))
            first = self.spans[-1].last
        self.reference = np.concatenate([np.zeros(0, np.int64), *(b.counts for b in baselines)])
        self._events = events_of(self.spans, self.reference)
        self.bets = place_bets(self._events, self.reference, margin=margin, alpha=alpha)
        self.wealth = self.bets.start()
        self.began = np.zeros(self.wealth.shape, np.int32)
        """When each wealth was last 1, in minutes since the epoch."""
        self.recent = RecentRows(self.reference.size)
        self.open: dict[FindingKey, Finding] = {}
        self.closed: list[Finding] = []
        self._slots, self._slot_starts = self._name_slots()
        self._places = {each.key: place for place, each in enumerate(self.baselines)}

    @property
    def source(self) -> ReferenceSource:
        """Where its baselines come from; all come from one place."""
        return self.baselines[0].source

    def step(self, counts: Ints, now_ns: int) -> bool:
        """Take in the rows of a step, by group; give whether a finding was opened or closed."""
        minute = now_ns // MINUTE_NS
        self.began[self.wealth <= 0] = minute
        self.wealth = self.bets.play(self.wealth, counts)
        self.recent.add(counts, minute)
        best, enough = self._best(), self.bets.threshold
        changed = [
            self._note(place, slot, now_ns) if best[place] >= enough else self._close(slot, now_ns)
            for place, slot in enumerate(self._slots)
            if best[place] >= enough or (slot in self.open and best[place] <= enough / 2)
        ]
        return any(changed)

    def close_all(self, now_ns: int) -> bool:
        """Close all findings; the evidence stays. Give whether there were any."""
        slots = list(self.open)
        for slot in slots:
            self._close(slot, now_ns)
        return bool(slots)

    def _close(self, slot: FindingKey, now_ns: int) -> bool:
        self.closed.append(replace(self.open.pop(slot), closed_ns=now_ns))
        del self.closed[:-KEPT_CLOSED]
        return True

    def _note(self, place: int, slot: FindingKey, now_ns: int) -> bool:
        known = self.open.get(slot)
        if known and (now_ns - known.found_ns) // MINUTE_NS % REFRESH_MINUTES:
            return False
        self.open[slot] = self._finding(place, slot, known, now_ns)
        return known is None

    def _finding(self, place: int, slot: FindingKey, known: Finding | None, now_ns: int) -> Finding:
        (aspect, concern), tests = slot, self._tests_of(place)
        began_ns = known.since_ns if known else self._onset(tests) * MINUTE_NS
        baseline, rows, evidence = self._newest(aspect, tests, began_ns)
        return Finding(
            self.key,
            aspect.field,
            aspect.aspect,
            concern,
            change_of(baseline, rows, concern),
            min(began_ns, now_ns),
            known.found_ns if known else now_ns,
            rows=int(rows.sum()),
            evidence=evidence,
            effects=effects(baseline, rows, concern),
            source=baseline.source,
        )

    def _onset(self, tests: slice) -> int:
        """The minute in which the wealth began that sufficed; of several, the newest."""
        enough = self.wealth[:, tests] >= self.bets.threshold
        return int(self.began[:, tests][enough].max())

    def _newest(
        self, aspect: AspectKey, tests: slice, began_ns: int
    ) -> tuple[Baseline, Ints, float]:
        place = self._places[aspect]
        counts = self.recent.since(began_ns // MINUTE_NS).counts
        span = self.spans[place]
        hits, rows = self.bets.hits(counts)
        evidence = _surprise(hits[tests], rows[tests], self.bets.bounds[tests])
        return self.baselines[place], counts[span.first : span.last], evidence

    def rows_since(self, aspect: AspectKey, began_ns: int) -> tuple[Baseline, Ints]:
        """The baseline of an aspect, and the rows by group since then, as far as they are known."""
        place = self._places[aspect]
        span = self.spans[place]
        counts = self.recent.since(began_ns // MINUTE_NS).counts
        return self.baselines[place], counts[span.first : span.last]

    def evidence_shares(self) -> Mapping[AspectKey, float]:
        """Of each aspect's furthest test, as a share of what it takes to alarm: from 0 to 1."""
        shares = dict.fromkeys(self._places, 0.0)
        for (key, _), wealth in zip(self._slots, self._best(), strict=True):
            shares[key] = max(shares[key], float(wealth) / self.bets.threshold)
        return shares

    def _best(self) -> npt.NDArray[np.float32]:
        """The largest wealth of each slot."""
        if not self._slots:
            return np.zeros(0, np.float32)
        return np.maximum.reduceat(self.wealth.max(axis=0), self._slot_starts)

    def _tests_of(self, slot: int) -> slice:
        after = self._slot_starts[slot + 1 : slot + 2]
        return slice(
            int(self._slot_starts[slot]), int(after[0]) if after.size else self.bets.events.size
        )

    def _name_slots(self) -> tuple[list[FindingKey], Ints]:
        """Tests of one concern of one aspect lie side by side."""
        slots: list[FindingKey] = []
        starts: list[int] = []
        for test, place in enumerate(self.bets.events):
            event = self._events[place]
            slot = (self.baselines[event.aspect].key, event.concern)
            if not slots or slots[-1] != slot:
                slots.append(slot)
                starts.append(test)
        return slots, np.array(starts, np.int64)


def effects(baseline: Baseline, rows: Ints, concern: Concern = Concern.DISTRIBUTION) -> Effects:
    """How far the rows, by group, are from the baseline: in their values, or in what is none."""
    values = baseline.values
    if concern in {Concern.MISSING, Concern.INFINITE} or values is None:
        return effects_of(baseline.counts, rows, None)
    return effects_of(baseline.counts[VALUES:], rows[VALUES:], values[VALUES:])


def _surprise(hits: Ints, rows: Ints, bounds: Floats) -> float:
    share = hits / np.maximum(rows, 1)
    beyond = (share > bounds) & (bounds < 1)
    if not beyond.any():
        return 0.0
    return float((rows * divergence(share, np.where(beyond, bounds, 0.5)))[beyond].max())
