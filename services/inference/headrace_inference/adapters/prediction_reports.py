"""Puts the answers to requests that were chosen by their ids into reports: so many a second at most."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from headrace.monitor.v1 import telemetry_pb2
from headrace.state.records import VersionRecord
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.sampling.row_answers import (
    AnswerReader,
    RowAnswer,
    are_whole,
    outputs_of,
    rows_within,
)
from headrace_inference.domain.sampling.rows import SampledRows

MAX_ID_LENGTH = 256
"""Characters of a request's id; the monitor takes no longer ones."""

MAX_TOGETHER = 100
"""In one report."""

MAX_BYTES = 32 * 1024
"""Of those in one report but for the last, so that it is read in one piece."""

MAX_WAITING = 20_000
"""Until the next report; some 4 MB."""

BURST_SECONDS = 60.0
"""What was not told in a minute may be told at once: a test of a thousand requests is in it."""

MAX_VERSIONS = 1_000
"""Whose classes are remembered."""


class Told(NamedTuple):
    """What one report has of answers."""

    predictions: Sequence[telemetry_pb2.Prediction] = ()
    share: float = 0.0
    dropped: int = 0


NOTHING_TOLD = Told()


class PredictionReports:
    """Takes rows on the sampler's thread, and gives messages to the loop that makes reports."""

    def __init__(self, clock: Clock, share: float, rate: float, outputs: Mapping[str, str]) -> None:
        self._clock = clock
        self._share = share
        self._rate = rate
        self._outputs = outputs
        self._readers: dict[tuple[str, int, str], AnswerReader] = {}
        self._allowance = _Allowance(rate, clock)
        self._waiting: deque[telemetry_pb2.Prediction] = deque()
        self._lock = threading.Lock()
        self._dropped = 0
        self.dropped_before: Callable[[], int] = lambda: 0
        """How many rows were dropped before they came here, since the start."""
        self._told_before = 0

    def seen(self, record: VersionRecord, rows: int) -> None:
        """Others count them."""

    def take(self, rows: SampledRows) -> None:
        """Read the answers of rows, as many as may be told."""
        record = rows.record
        if not rows.outputs:
            return
        key = (record.model, record.number, record.digest)
        reader = self._readers.get(key)
        if reader is None:
            while len(self._readers) >= MAX_VERSIONS:
                del self._readers[next(iter(self._readers))]
            reader = self._readers[key] = AnswerReader(self._outputs.get(record.model, ""))
        messages, seen = [], 0
        for part in _parts(rows):
            answers = reader.read(outputs_of(record.signature.outputs, part.outputs, rows.labels))
            seen += len(answers)
            messages += [
                _message(part, place, answer)
                for place, answer in enumerate(answers)
                if answer is not None and len(part.requests[place].id) <= MAX_ID_LENGTH
            ]
        self._keep(messages, seen)

    def room(self) -> float:
        """Return how many rows may be told now, and at least one more than none: time passes."""
        with self._lock:
            return max(1.0, self._allowance.left())

    def _keep(self, messages: Sequence[telemetry_pb2.Prediction], rows: int) -> None:
        with self._lock:
            room = min(self._allowance.take(len(messages)), MAX_WAITING - len(self._waiting))
            self._waiting.extend(messages[:room])
            self._dropped += rows - min(room, len(messages))

    def told(self) -> Iterator[Told]:
        """Yield what waits, in parts of a report each; the first has what was dropped."""
        before = self.dropped_before()
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
            dropped, self._dropped = self._dropped + before - self._told_before, 0
        self._told_before = before
        part: list[telemetry_pb2.Prediction] = []
        size = 0
        for message in waiting:
            if len(part) == MAX_TOGETHER or size > MAX_BYTES:
                yield Told(part, self._share, dropped)
                part, size, dropped = [], 0, 0
            part.append(message)
            size += message.ByteSize()
        if part or dropped:
            yield Told(part, self._share, dropped)


def _parts(rows: SampledRows) -> Iterator[SampledRows]:
    """Yield the rows; of a version that does not batch, those within each request."""
    specs = rows.record.signature.outputs
    if not are_whole(specs, rows.outputs):
        yield rows
        return
    for place, request in enumerate(rows.requests):
        one = [None if each is None else each[place : place + 1] for each in rows.outputs]
        within = rows_within(specs, one)
        if within:
            count = next(len(each) for each in within if each is not None)
            yield replace(
                rows, requests=[request] * count, row_numbers=range(count), outputs=within
            )


class _Allowance:
    """So many a second on the mean, and at once what a minute leaves unused."""

    def __init__(self, rate: float, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._left = BURST_SECONDS * rate
        self._since_ns = clock.monotonic_ns()

    def left(self) -> float:
        now_ns = self._clock.monotonic_ns()
        passed = (now_ns - self._since_ns) / 1e9
        self._since_ns = now_ns
        self._left = min(self._left + passed * self._rate, BURST_SECONDS * self._rate)
        return self._left

    def take(self, wanted: int) -> int:
        taken = min(wanted, int(self.left()))
        self._left -= taken
        return taken


def _message(rows: SampledRows, place: int, answer: RowAnswer) -> telemetry_pb2.Prediction:
    request = rows.requests[place]
    message = telemetry_pb2.Prediction(
        model=rows.record.model,
        version=rows.record.number,
        request_id=request.id,
        row=rows.row_numbers[place],
        slices=request.slices,
        confidence=answer.confidence,
        score=answer.score,
        positive_label=answer.positive,
    )
    message.time.FromNanoseconds(rows.answered_ns)
    if isinstance(answer.content, str):
        message.label = answer.content
    else:
        message.value = answer.content
    return message
