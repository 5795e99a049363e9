"""Decides which rows of a loaded version are copied: some by a budget, some by their requests' ids."""

from __future__ import annotations

import logging
import math
import random
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np

from headrace.state.records import VersionRecord
from headrace.telemetry.sampled_ids import is_sampled
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.sampling.budget import FIRST_BYTES
from headrace_inference.domain.sampling.copying import are_huge, copied, copied_row, size_of
from headrace_inference.domain.sampling.row_ring import RowRing
from headrace_inference.domain.sampling.slices import Slicing
from headrace_inference.domain.sampling.taken_rows import RowMaker, Said, TakenRows, said_by
from headrace_inference.domain.scheduling.requests import Asked, BatchResult

logger = logging.getLogger(__name__)

NEVER = math.inf
TOGETHER = 8
"""Rows that follow one another are taken together: the first costs a run 10 us in cold caches, others 1."""

SLACK_ROWS = 4
"""Over what a version may take, so that chance alone makes nobody take fewer."""

EXAMPLE_ROWS = 8
"""Of each version, between two ticks: rows of requests with an id that are kept whole as examples."""

MAX_EXAMPLE_BYTES = 2**20
"""Of those, as large as rows were so far."""

MAX_WAITING_BYTES = 8 * 2**20
"""Of rows of one version that were taken by their ids, or on their own, and wait for the thread; more are
dropped."""


def no_bound() -> float:
    """All that come."""
    return math.inf


@dataclass(frozen=True, slots=True)
class SamplingRules:
    """What is sampled beside the budget, alike for all versions of a replica."""

    slicings: Sequence[Slicing] = ()
    id_share: float = 0.0
    """Of the requests with an id, by the hash of it; 0 where nobody takes those."""
    id_rows: Callable[[], float] = no_bound
    """Tells how many rows of those a version takes until it is drained; then it looks at no ids."""
    id_inputs: bool = False
    """Whether the inputs of those are copied, too."""
    has_examples: bool = False
    """Whether some of those are copied once more, with inputs and outputs."""


@dataclass(slots=True)
class Drained:
    """What came together of one version since it was last asked."""

    seen: int = 0
    taken: list[TakenRows] = field(default_factory=list)
    """By the budget, with the probability by which they were taken."""
    probability: float = 1.0
    """That of the last of them: those that were taken by a larger one are to be thinned to it."""
    by_id: list[TakenRows] = field(default_factory=list)
    dropped_by_id: int = 0
    """About how many rows were to be taken by their ids, and were not."""
    examples: list[TakenRows] = field(default_factory=list)
    """Some of the rows that were chosen by their ids, with inputs and outputs."""
    row_bytes: float = 0.0


class VersionSampler:
    """Looks at each run of a version. Whoever calls it holds `lock`, which is that of its statistics.

    Each row is taken by the same probability, drawn as the number of rows until the next TOGETHER, so that
    a run of which none is taken costs an addition and a comparison. Where more rows come than were
    expected, the probability is halved; what was taken by a larger one is thinned later, by the thread that
    looks at it.
    """

    def __init__(
        self,
        record: VersionRecord,
        labels: Mapping[str, Sequence[bytes]],
        lock: AbstractContextManager[object],
        clock: Clock,
        rules: SamplingRules,
        allotted: float,
    ) -> None:
        self.record = record
        self.lock = lock
        self.is_closed = False
        """Set when the version is unloaded: what it has left is taken, then it is forgotten."""
        self.expected_rows = 0.0
        """How many rows are expected until it is drained; it is the sampler's thread's own."""
        self.maker = RowMaker(record, labels, rules.slicings)
        """Makes rows of those that were taken, in the sampler's thread."""
        self._clock, self._rules = clock, rules
        self._share, self._is_sliced = rules.id_share, bool(rules.slicings)
        self._seen = 0
        self._next = NEVER
        """Rows that are passed by until the next that is taken."""
        self._taken = 0.0
        """Rows that were taken, as many as will be left of them."""
        self._ring: RowRing | None = None
        """Where rows go that are of the shapes of the first that was taken since this was drained."""
        self._ring_from: list[tuple[int, float]] = []
        """From which row on they were taken by which probability."""
        self._has_ids = False
        """Whether the first request of any run had an id: until then no other is asked for its own."""
        self._id_bytes = 0
        self._apart_bytes = 0
        """Of rows that were kept on their own since this was drained: they may be larger than the first."""
        self._id_left = rules.id_rows()
        self._examples_left = EXAMPLE_ROWS if rules.has_examples else 0
        self._passed_ids = 0.0
        """Rows of requests whose ids were not looked at, of which the share is dropped."""
        self._has_failed = False
        self._waiting = Drained()
        self._random = random.Random()  # noqa: S311  # chooses rows, and keeps no secret
        self.allot(allotted, 1.0)

    def allot(self, rows: float, probability: float, row_bytes: float = 0.0) -> None:
        """From now on take rows by this probability, and until this is called again so many at most.

        `row_bytes` is what those had that were taken last; 0 where none were.
        """
        self._waiting.row_bytes = row_bytes or self._waiting.row_bytes
        self._most = 2 * rows + _slack(self._waiting.row_bytes) if rows else 0.0
        self._set_probability(probability if rows else 0.0)

    def _set_probability(self, probability: float) -> None:
        self._probability = probability
        begins = probability / (probability + TOGETHER * (1 - probability))
        self._log_missed = math.log1p(-begins) if begins < 1 else -math.inf
        self._left_together = TOGETHER
        self._next = self._gap()

    def _gap(self) -> float:
        if self._probability <= 0:
            return NEVER
        return int(math.log(1.0 - self._random.random()) / self._log_missed)

    def look_at(self, result: BatchResult, rows: int) -> None:
        """Copy rows of a run of so many, if it is the turn of any."""
        self._seen += rows
        try:
            if self._next >= rows:
                self._next -= rows
            else:
                self._take(result, rows)
            if self._share and (self._has_ids or self._sees_id(result)):
                self._take_by_id(result, rows)
        except Exception as error:  # noqa: BLE001  # odd rows cost their profiles, and no answer
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Look at none of the next rows, until the budget is divided anew."""
        self._next, self._id_left = NEVER, 0.0
        if not self._has_failed:
            self._has_failed = True
            logger.error(
                "rows were not looked at", exc_info=error, extra={"version": self.record.key}
            )

    def _sees_id(self, result: BatchResult) -> bool:
        """Look at the first request alone: to ask each of many without ids takes 3 % of their time."""
        first = result.requests[0].asked
        self._has_ids = first is not None and bool(first.id_text)
        return self._has_ids

    def look_at_lengths(self, lengths: Mapping[str, int], route: str, asked: Asked | None) -> None:
        """The same of a generation, whose prompt and answer have these lengths."""
        self._seen += 1
        if self._next < 1:
            self._make_room(1)
        if not self._spans(1):
            return
        said = (said_by(route, asked),) if self._is_sliced else ()
        self._waiting.taken.append(
            TakenRows(self._clock.wall_ns(), 1, (), (), said, (), lengths, self._probability)
        )

    def drain(self) -> Drained:
        """What came together since this was last called."""
        drained, self._waiting = self._waiting, Drained(row_bytes=self._waiting.row_bytes)
        drained.seen, drained.probability = self._seen, self._probability
        self._empty_ring(drained)
        drained.dropped_by_id += round(self._passed_ids * self._share)
        self._seen, self._taken, self._id_bytes, self._apart_bytes = 0, 0.0, 0, 0
        self._id_left, self._passed_ids = self._rules.id_rows(), 0.0
        self._examples_left = self._example_room()
        return drained

    def _example_room(self) -> int:
        if not self._rules.has_examples:
            return 0
        fitting = MAX_EXAMPLE_BYTES / max(1.0, self._waiting.row_bytes)
        return min(EXAMPLE_ROWS, max(1, int(fitting)))

    def _make_room(self, rows: int) -> None:
        """Halve the probability until so many rows more fit into what may be taken."""
        probability = self._probability
        while self._taken + rows * probability > self._most:
            probability, self._taken = probability / 2, self._taken / 2
        if probability != self._probability:
            self._set_probability(probability)
            if self._ring is not None:
                self._ring_from.append((self._ring.count, probability))

    def _take(self, result: BatchResult, rows: int) -> None:
        huge = are_huge((*result.inputs, *result.outputs), rows)
        if not (self._waiting.row_bytes or huge):
            self._learn_size(result, rows)
        self._make_room(rows)
        spans = self._spans(rows)
        if not spans or huge or self._apart_bytes > MAX_WAITING_BYTES:
            return
        ring = self._ring
        if (
            ring is None
            or self._is_sliced
            or not ring.put(result.inputs, result.outputs, spans, rows)
        ):
            places = [place for start, end in spans for place in range(start, end)]
            self._take_apart(result, places, rows)

    def _spans(self, rows: int) -> list[tuple[int, int]]:
        """Which of the next rows are taken, as starts and ends; they are passed by then."""
        spans: list[tuple[int, int]] = []
        place = self._next
        while place < rows:
            start = int(place)
            end = min(rows, start + self._left_together)
            spans.append((start, end))
            self._taken += end - start
            self._left_together -= end - start
            if self._left_together:  # it goes on in the next run
                place = rows
            else:
                self._left_together = TOGETHER
                place = end + self._gap()
        self._next = place - rows
        return spans

    def _take_apart(self, result: BatchResult, places: Sequence[int], rows: int) -> None:
        """Keep rows on their own that fit into no ring, and open one where there is none."""
        taken = self._copy(result, places, rows, inputs=True, said=self._is_sliced)
        self._waiting.taken.append(taken)
        self._apart_bytes += taken.size_bytes
        if self._ring is None and not self._is_sliced:
            inputs, outputs = result.inputs, result.outputs
            if RowRing.takes(inputs, outputs, rows):
                most = min(self._most, FIRST_BYTES / self._waiting.row_bytes)
                self._ring = RowRing(inputs, outputs, max(1, int(most)))
                self._ring_from = [(0, self._probability)]

    def _empty_ring(self, into: Drained) -> None:
        """Have the rows of the ring drained, as those of one run for each probability."""
        ring, self._ring = self._ring, None
        if ring is None or not ring.count:
            return
        ends = [start for start, _ in self._ring_from[1:]] + [ring.count]
        for (start, probability), end in zip(self._ring_from, ends, strict=True):
            if end > start:
                inputs, outputs = ring.rows(start, end)
                into.taken.append(
                    TakenRows(
                        self._clock.wall_ns(),
                        end - start,
                        inputs,
                        outputs,
                        probability=probability,
                    )
                )

    def _learn_size(self, result: BatchResult, rows: int) -> None:
        """Of the first run, so that large rows are few from the beginning."""
        size = size_of(result.inputs) + size_of(result.outputs)
        self._waiting.row_bytes = max(1.0, size / max(1, rows))
        self._most = min(
            self._most, FIRST_BYTES / self._waiting.row_bytes + _slack(self._waiting.row_bytes)
        )

    def _take_by_id(self, result: BatchResult, rows: int) -> None:
        """Take the requests that are among the share by their ids, with all of their rows."""
        share, first_rows = self._share, result.first_rows
        if self._id_left <= 0:  # to look at each id would cost more than all the rest
            first = result.requests[0].asked
            if first is not None and first.id_text:
                self._passed_ids += rows
            return
        places: list[int] = []
        for index, request in enumerate(result.requests):
            asked = request.asked
            if asked is None:
                continue
            request_id = asked.id_text
            if request_id and is_sampled(request_id, share):
                places.extend(range(first_rows[index], first_rows[index + 1]))
                if len(places) >= self._id_left:
                    self._passed_ids += rows - first_rows[index + 1]
                    break
        if not places:
            return
        huge = are_huge(result.inputs, rows), are_huge(result.outputs, rows)
        if self._examples_left and not any(huge):
            self._take_examples(result, places, rows)
        is_huge = huge[1] or (huge[0] and self._rules.id_inputs)
        if is_huge or self._id_bytes > MAX_WAITING_BYTES:
            self._waiting.dropped_by_id += len(places)
            return
        self._id_left -= len(places)
        taken = self._copy(result, places, rows, inputs=self._rules.id_inputs, said=True)
        self._id_bytes += taken.size_bytes + 256 * len(places)
        self._waiting.by_id.append(taken)

    def _take_examples(self, result: BatchResult, places: Sequence[int], rows: int) -> None:
        """Keep some of the rows that were chosen, from all over them."""
        some = places[:: max(1, len(places) // self._examples_left)][: self._examples_left]
        self._examples_left -= len(some)
        self._waiting.examples.append(self._copy(result, some, rows, inputs=True, said=True))

    def _copy(
        self, result: BatchResult, places: Sequence[int], rows: int, *, inputs: bool, said: bool
    ) -> TakenRows:
        if len(places) == 1:
            place = places[0]
            taken_in = copied_row(result.inputs, place, rows) if inputs else ()
            taken_out = copied_row(result.outputs, place, rows)
        else:
            at = np.array(places, np.intp)
            taken_in = copied(result.inputs, at, rows) if inputs else ()
            taken_out = copied(result.outputs, at, rows)
        origins, numbers = _origins(result, places) if said else ((), ())
        return TakenRows(
            self._clock.wall_ns(),
            len(places),
            taken_in,
            taken_out,
            origins,
            numbers,
            probability=self._probability,
        )


def _slack(row_bytes: float) -> int:
    """Over what a version may take: some rows, of large ones one."""
    return SLACK_ROWS if SLACK_ROWS * row_bytes <= FIRST_BYTES else 1


def _origins(result: BatchResult, places: Sequence[int]) -> tuple[list[Said], list[int]]:
    """What the request of each row said, and which of its rows it is; the places ascend."""
    origins, numbers = [], []
    index, first_rows = -1, result.first_rows
    for place in places:
        if index < 0 or place >= first_rows[index + 1]:
            index = bisect_right(first_rows, place, max(index, 0)) - 1
            request = result.requests[index]
            said = said_by(request.route, request.asked)
        origins.append(said)
        numbers.append(place - first_rows[index])
    return origins, numbers
