"""Divides the budget among the loaded versions, and hands what was sampled to those who look at it."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np

from headrace.state.records import VersionRecord
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.sampling.budget import Demand, allotments
from headrace_inference.domain.sampling.copying import copied
from headrace_inference.domain.sampling.rows import RowConsumer, SampledRows
from headrace_inference.domain.sampling.taken_rows import TakenRows
from headrace_inference.domain.sampling.version_sampler import (
    Drained,
    SamplingRules,
    VersionSampler,
)

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.5
"""How often rows are handed on, and the budget is divided anew."""

EXAMPLES_NS = 2_500_000
"""For examples in a tick, over all versions: half a hundredth of a core. Those of one take 0.2 ms."""

MOST_JOINED = 256
"""Runs whose rows are joined in one step: others get the interpreter in between."""

_REMEMBERED = 4
"""By so much less rows are expected each time after many came: they come in waves, and may come again."""

_COST_WEIGHT = 0.2
"""Of the newest measurement, in what looking at a row is taken to cost."""


class Sampler:
    """The rows of all loaded versions that are sampled: so many a second, and those of a share of ids.

    `open` is called by whoever loads versions; `tick`, on a thread of the sampler's own, every
    TICK_SECONDS.
    """

    def __init__(
        self,
        clock: Clock,
        rows_per_second: float,
        rules: SamplingRules,
        by_budget: Sequence[RowConsumer] = (),
        by_id: Sequence[RowConsumer] = (),
        of_examples: Sequence[RowConsumer] = (),
    ) -> None:
        self._clock = clock
        self._rate = rows_per_second if by_budget else 0.0
        shared = rules if by_id or of_examples else replace(rules, id_share=0.0)
        self._rules = replace(shared, has_examples=bool(of_examples))
        self._by_budget, self._by_id, self._of_examples = by_budget, by_id, of_examples
        self._lock = threading.Lock()
        self._versions: dict[VersionSampler, float] = {}
        """Those that are loaded, and the seconds that looking at a row takes."""
        self._random = np.random.default_rng()
        self._ticked_ns = clock.monotonic_ns()
        self.dropped_by_id = 0
        """Rows that were to be taken by their ids, for which there was no room."""

    @property
    def is_on(self) -> bool:
        """Tell whether anything is sampled at all."""
        return bool(self._rate or self._rules.id_share)

    def open(
        self,
        record: VersionRecord,
        labels: Mapping[str, Sequence[bytes]],
        lock: AbstractContextManager[object],
    ) -> VersionSampler | None:
        """Return what looks at the runs of a version that is loaded; None where nothing is sampled."""
        if not self.is_on:
            return None
        with self._lock:
            allotted = self._rate * TICK_SECONDS / (len(self._versions) + 1)
            sampler = VersionSampler(record, labels, lock, self._clock, self._rules, allotted)
            self._versions[sampler] = 0.0
        return sampler

    def tick(self) -> None:
        """Hand on what was sampled, and divide the budget anew."""
        with self._lock:
            versions = list(self._versions)
        now = self._clock.monotonic_ns()
        seconds = max(TICK_SECONDS / 10, (now - self._ticked_ns) / 1e9)
        self._ticked_ns = now
        drained = [_drain(version) for version in versions]
        for version, what in zip(versions, drained, strict=True):
            what.row_bytes = _row_bytes(what.taken) or what.row_bytes
            self._try_to_hand_on(version, what)
            if version.is_closed and not what.seen:
                with self._lock:
                    del self._versions[version]
        self._show_examples(versions, drained)
        self._divide(versions, drained, TICK_SECONDS / seconds)

    def _show_examples(
        self, versions: Sequence[VersionSampler], drained: Sequence[Drained]
    ) -> None:
        """Hand examples on, of versions in any order until their time is over; others have a turn later."""
        having = [pair for pair in zip(versions, drained, strict=True) if pair[1].examples]
        self._random.shuffle(having)
        began = self._clock.thread_ns()
        for version, what in having:
            if self._clock.thread_ns() - began > EXAMPLES_NS:
                return
            try:
                for one in what.examples:
                    _give(self._of_examples, version.maker.rows(one))
            except Exception:
                logger.exception("rows were not shown", extra={"version": version.record.key})
            _tell_seen(self._of_examples, version.record, what.seen)

    def _divide(
        self, versions: Sequence[VersionSampler], drained: Sequence[Drained], scale: float
    ) -> None:
        """Allot rows by what came; a version of which nothing came may take its part of the budget."""
        part = self._rate * TICK_SECONDS / max(1, len(versions))
        demands = [
            Demand(what.seen * scale, what.row_bytes, self._versions.get(version, 0.0))
            for version, what in zip(versions, drained, strict=True)
        ]
        parts = allotments(demands, self._rate, TICK_SECONDS)
        for version, demand, rows, what in zip(versions, demands, parts, drained, strict=True):
            allotted = max(rows, part) if rows == demand.rows else rows
            expected = version.expected_rows = max(demand.rows, version.expected_rows / _REMEMBERED)
            with version.lock:
                probability = min(1.0, allotted / expected) if expected else 1.0
                version.allot(allotted, probability, what.row_bytes)

    def _try_to_hand_on(self, version: VersionSampler, what: Drained) -> None:
        """A version whose rows are odd costs no other version its turn."""
        try:
            self._hand_on(version, what)
        except Exception:
            logger.exception("rows were not looked at", extra={"version": version.record.key})

    def _hand_on(self, version: VersionSampler, what: Drained) -> None:
        self.dropped_by_id += what.dropped_by_id
        began, rows = self._clock.thread_ns(), 0
        for some in _by_probability(what.taken):
            for taken in version.maker.joined(some):
                kept = self._thinned(taken, what.probability / some[0].probability)
                rows += len(kept)
                if len(kept):
                    _give(self._by_budget, kept)
        if what.seen:
            _tell_seen(self._by_budget, version.record, what.seen)
        if rows:
            self._note_cost(version, (self._clock.thread_ns() - began) / 1e9 / rows)
        for one in what.by_id:
            _give(self._by_id, version.maker.rows(one))
        if what.seen:
            _tell_seen(self._by_id, version.record, what.seen)

    def _note_cost(self, version: VersionSampler, row_seconds: float) -> None:
        with self._lock:
            known = self._versions.get(version)
            if known is not None:
                weight = _COST_WEIGHT if known else 1.0
                self._versions[version] = known + weight * (row_seconds - known)

    def _thinned(self, rows: SampledRows, share: float) -> SampledRows:
        """Keep each row by this probability."""
        if share >= 1:
            return rows
        places = np.flatnonzero(self._random.random(len(rows)) < share)
        return chosen(rows, places)


def chosen(rows: SampledRows, places: np.ndarray[tuple[int], np.dtype[np.intp]]) -> SampledRows:
    """Some of the rows."""
    return replace(
        rows,
        requests=[rows.requests[place] for place in places.tolist()],
        row_numbers=[rows.row_numbers[place] for place in places.tolist()],
        inputs=copied(rows.inputs, places, len(rows)),
        outputs=copied(rows.outputs, places, len(rows)),
        lengths={name: lengths[places] for name, lengths in rows.lengths.items()},
    )


def _row_bytes(taken: Sequence[TakenRows]) -> float:
    """The bytes of a row, on the mean of these; 0 where there are none."""
    return sum([one.size_bytes for one in taken]) / max(1, sum([one.rows for one in taken]))


def _by_probability(taken: Sequence[TakenRows]) -> Iterator[Sequence[TakenRows]]:
    """Yield those that were taken by the same probability, MOST_JOINED runs at a time."""
    for _, some in itertools.groupby(taken, lambda one: one.probability):
        those = list(some)
        for start in range(0, len(those), MOST_JOINED):
            yield those[start : start + MOST_JOINED]


def _drain(version: VersionSampler) -> Drained:
    with version.lock:
        return version.drain()


def _tell_seen(consumers: Sequence[RowConsumer], record: VersionRecord, rows: int) -> None:
    for consumer in consumers:
        try:
            consumer.seen(record, rows)
        except Exception:
            logger.exception("rows were not looked at", extra={"version": record.key})


def _give(consumers: Sequence[RowConsumer], rows: SampledRows) -> None:
    for consumer in consumers:
        try:
            consumer.take(rows)
        except Exception:
            logger.exception("rows were not looked at", extra={"version": rows.record.key})
