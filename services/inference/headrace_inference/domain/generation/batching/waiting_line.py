"""Keeps the choices that wait for a row: by level, and within one in the order in which they came."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Collection, Iterator

from headrace.errors import HeadraceError
from headrace.state.records import Priorities, QueuePolicy, ServingConfig, TimeoutAction
from headrace_inference.domain.generation.batching.sequences import CallProgress, SequenceState
from headrace_inference.domain.scheduling import queue_refusals as refusals
from headrace_inference.domain.scheduling.admission import LongWait, max_wait_ns
from headrace_inference.domain.scheduling.drain_rate import DrainRate
from headrace_inference.domain.scheduling.queues import timeout_us
from headrace_inference.domain.scheduling.requests import BACKGROUND


class _Level:
    """A level: those that were put off, then those that wait, then those that waited too long."""

    def __init__(self, policy: QueuePolicy) -> None:
        self.policy = policy
        self.put_off: deque[SequenceState] = deque()
        self.on_time: deque[SequenceState] = deque()
        self.delayed: deque[SequenceState] = deque()
        self.calls = 0

    @property
    def queues(self) -> tuple[deque[SequenceState], ...]:
        return self.put_off, self.on_time, self.delayed


class WaitingLine:
    """The waiting choices of all levels; from any thread."""

    def __init__(self, name: str, config: ServingConfig) -> None:
        self._name = name
        priorities: Priorities = config.priorities
        self._default = max(1, priorities.default_level) - 1
        self._levels = [
            _Level(priorities.queues.get(level, config.queue))
            for level in range(1, max(1, priorities.levels) + 1)
        ]
        self._mutex = threading.Lock()
        self.has_unwanted = False
        """Whether one of those that were next is not wanted any more: `drop_unwanted` tells which."""
        self._rate = DrainRate(1)
        self._taken_ns = 0

    def __len__(self) -> int:
        """Count the choices."""
        return sum([len(queue) for level in self._levels for queue in level.queues])

    @property
    def calls(self) -> int:
        """Count the calls of which no choice has begun."""
        return sum([level.calls for level in self._levels])

    def level_of(self, priority: int) -> int:
        """Return the level of a request, 0 the first."""
        if priority == BACKGROUND:
            return len(self._levels) - 1
        return priority - 1 if 1 <= priority <= len(self._levels) else self._default

    def expected_wait_ns(self, level: int, now_ns: int) -> float:
        """Return how long a call would wait that came now; 0 where that is not known."""
        ahead = sum(each.calls for each in self._levels[: level + 1])
        return self._rate.wait_ns(ahead, now_ns)

    def put(self, sequences: list[SequenceState], now_ns: int) -> None:
        """Let the choices of a new call wait.

        Raises ResourceExhausted (QUEUE_FULL, QUEUE_WAIT_TOO_LONG) or DeadlineExceeded
        (DEADLINE_OUT_OF_REACH).
        """
        progress = sequences[0].progress
        level = self._levels[progress.level]
        with self._mutex:
            refusal = self._refusal(progress, level, now_ns)
            if refusal is None:
                level.on_time.extend(sequences)
                level.calls += 1
        if refusal is not None:
            raise refusal

    def put_back(self, sequence: SequenceState) -> None:
        """Let a choice wait again that was put off; those put off are ahead, the oldest first."""
        with self._mutex:
            queue = self._levels[sequence.progress.level].put_off
            place = sum([one.progress.arrived < sequence.progress.arrived for one in queue])
            queue.insert(place, sequence)

    def next_ones(self, most: int, now_ns: int) -> list[SequenceState]:
        """Return those that come in next, in this order; without those whose prompt is being read."""
        with self._mutex:
            ready = (one for one in self._in_order(now_ns) if self._may_enter(one, now_ns))
            return list(itertools.islice(ready, most))

    def take(self, sequence: SequenceState, now_ns: int) -> None:
        """Take a choice out, which gets a row."""
        level = self._levels[sequence.progress.level]
        with self._mutex:
            next(queue for queue in level.queues if sequence in queue).remove(sequence)
            if not sequence.progress.has_started:
                self._count_out(level, now_ns)

    def drop_unwanted(self, now_ns: int) -> list[tuple[CallProgress, HeadraceError]]:
        """Take out what nobody waits for any more, or waited too long; the calls to fail, and why."""
        with self._mutex:
            self.has_unwanted = False
            dropped: dict[CallProgress, HeadraceError] = {}
            for level in self._levels:
                for progress in {one.progress for queue in level.queues for one in queue}:
                    error = self._unwanted(progress, level.policy, now_ns)
                    if error is not None:
                        dropped[progress] = error
                self._remove(level, dropped)
            return list(dropped.items())

    def clear(self) -> list[CallProgress]:
        """Take all out; their calls."""
        with self._mutex:
            calls: set[CallProgress] = set()
            for level in self._levels:
                for queue in level.queues:
                    calls |= {one.progress for one in queue}
                    queue.clear()
                level.calls = 0
            return list(calls)

    def _refusal(self, progress: CallProgress, level: _Level, now_ns: int) -> HeadraceError | None:
        """Return why a call may not wait here; None: it may."""
        policy, deadline_ns = level.policy, progress.call.deadline_ns
        wait_ns = self.expected_wait_ns(progress.level, now_ns)
        if level.calls >= policy.max_requests:
            return refusals.queue_full(self._name, policy.max_requests, wait_ns)
        limit_ns = max_wait_ns(policy, level.calls)
        if wait_ns > limit_ns:
            return refusals.wait_too_long(self._name, LongWait(wait_ns, limit_ns))
        if wait_ns and deadline_ns is not None and wait_ns > deadline_ns - now_ns:
            left = LongWait(wait_ns, deadline_ns - now_ns, is_deadline=True)
            return refusals.wait_too_long(self._name, left)
        return None

    def _count_out(self, level: _Level, now_ns: int) -> None:
        """Count a call whose turn came: the time between two of them tells how long others wait."""
        level.calls -= 1
        if self._taken_ns and self.calls:
            self._rate.record(1, max(1, now_ns - self._taken_ns), now_ns, left_waiting=True)
        self._taken_ns = now_ns if self.calls else 0

    @staticmethod
    def _remove(level: _Level, dropped: Collection[CallProgress]) -> None:
        gone = {
            one
            for queue in level.queues
            for one in queue
            if one.progress.has_ended or one.progress in dropped
        }
        level.calls -= len({one.progress for one in gone if not one.progress.has_started})
        for queue in level.queues if gone else ():
            kept = [one for one in queue if one not in gone]
            queue.clear()
            queue.extend(kept)

    def _in_order(self, now_ns: int) -> Iterator[SequenceState]:
        for level in self._levels:
            yield from level.put_off
            if level.policy.timeout_action is TimeoutAction.DELAY:
                self._delay_late(level, now_ns)
            yield from level.on_time
            yield from level.delayed

    def _may_enter(self, one: SequenceState, now_ns: int) -> bool:
        policy = self._levels[one.progress.level].policy
        if self._unwanted(one.progress, policy, now_ns) is not None:
            self.has_unwanted = True
            return False
        return one.may_enter

    def _delay_late(self, level: _Level, now_ns: int) -> None:
        while level.on_time and self._is_past_timeout(
            level.on_time[0].progress, level.policy, now_ns
        ):
            level.delayed.append(level.on_time.popleft())

    def _unwanted(
        self, progress: CallProgress, policy: QueuePolicy, now_ns: int
    ) -> HeadraceError | None:
        call = progress.call
        if call.cancelled:
            return refusals.CALLER_GONE
        if call.deadline_ns is not None and now_ns > call.deadline_ns:
            return refusals.deadline_passed(now_ns - call.received_ns)
        rejects = policy.timeout_action is TimeoutAction.REJECT and not progress.has_started
        if rejects and self._is_past_timeout(progress, policy, now_ns):
            limit_ns = timeout_us(policy, call.request) * 1000
            wait_ns = self.expected_wait_ns(progress.level, now_ns)
            return refusals.waited_too_long(now_ns - call.received_ns, limit_ns, wait_ns)
        return None

    @staticmethod
    def _is_past_timeout(progress: CallProgress, policy: QueuePolicy, now_ns: int) -> bool:
        limit_ns = timeout_us(policy, progress.call.request) * 1000
        return bool(limit_ns) and now_ns - progress.call.received_ns > limit_ns
