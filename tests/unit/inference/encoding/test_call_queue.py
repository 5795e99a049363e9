"""Which calls are let in, which wait too long, and whose texts come first."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headrace.errors import DeadlineExceeded, HeadraceError, ResourceExhausted
from headrace.state.records import Priorities, QueuePolicy, ServingConfig, TimeoutAction
from headrace_inference.domain.encoding.batch_policy import Limits
from headrace_inference.domain.encoding.call_queue import CallQueue
from headrace_inference.domain.encoding.requests import EncodingCall, EncodingRequest, Vectors
from headrace_inference.domain.encoding.waiting_texts import PendingCall

MS = 1_000_000
ONE = Limits(tokens=8, texts=1)


class _Nobody:
    def encoded(self, vectors: Vectors) -> None: ...

    def failed(self, error: HeadraceError) -> None: ...


def _call(
    texts: int = 1, priority: int = 0, deadline_ns: int | None = None, received_ns: int = 0
) -> EncodingCall:
    request = EncodingRequest([[1] * 8] * texts, priority=priority)
    return EncodingCall(request, _Nobody(), "stable", received_ns, deadline_ns)


def _queue(**config: object) -> CallQueue:
    return CallQueue("m/1", ServingConfig(**config), 64, lambda tokens: tokens)  # type: ignore[arg-type]


def _order(queue: CallQueue) -> Sequence[PendingCall]:
    order = []
    while taken := queue.take(ONE)[0]:
        order += [pending for pending, _ in taken]
    return order


def test_levels_of_priority_go_first() -> None:
    """1 is the highest; a call without a level, or with one that is not there, gets the default."""
    queue = _queue(priorities=Priorities(levels=3, default_level=2))
    low, usual, high, strange = (queue.put(_call(priority=level), 0) for level in (3, 0, 1, 9))
    assert _order(queue) == [high, usual, strange, low]


def test_a_call_that_waits_too_long_is_refused() -> None:
    """By queue.timeout, unless it has begun."""
    queue = _queue(queue=QueuePolicy(timeout_microseconds=5_000))
    waits, begun = queue.put(_call(), 0), queue.put(_call(), 0)
    begun.call.started_ns = 1
    assert queue.unwanted(5 * MS) == []
    refused = queue.unwanted(6 * MS)
    assert [(pending, error.reason) for pending, error in refused] == [(waits, "QUEUE_TIMEOUT")]


def test_a_call_that_waits_too_long_may_be_put_behind_the_others() -> None:
    """By queue.timeout_action; it is not refused."""
    policy = QueuePolicy(timeout_microseconds=5_000, timeout_action=TimeoutAction.DELAY)
    queue = _queue(queue=policy)
    late = queue.put(_call(), 0)
    assert queue.unwanted(6 * MS) == []
    later = queue.put(_call(received_ns=6 * MS), 6 * MS)
    assert queue.unwanted(7 * MS) == []
    assert _order(queue) == [later, late]


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"queue": QueuePolicy(max_requests=2)}, "QUEUE_FULL"),
        ({"max_in_flight_requests": 2}, "MAX_IN_FLIGHT_REACHED"),
        ({"queue": QueuePolicy(max_wait_microseconds=1_000)}, "QUEUE_WAIT_TOO_LONG"),
    ],
)
def test_bounds_are_refused_by_name(config: dict[str, object], reason: str) -> None:
    """The third call, where 2 may wait, or where 16 tokens are expected to take 16 ms."""
    queue = _queue(**config)
    for _ in range(2):
        queue.put(_call(), 0)
    queue.record_run(1000, 1000 * MS, 0)
    with pytest.raises(ResourceExhausted) as refused:
        queue.put(_call(), 0)
    assert refused.value.reason == reason


def test_a_deadline_that_would_pass_first_is_told_at_once() -> None:
    """By how long tokens lately took; who has time enough is let in."""
    queue = _queue()
    queue.put(_call(texts=10), 0)
    queue.record_run(1000, 1000 * MS, 0)
    with pytest.raises(DeadlineExceeded) as refused:
        queue.put(_call(deadline_ns=50 * MS), 0)
    assert refused.value.reason == "DEADLINE_OUT_OF_REACH"
    queue.put(_call(deadline_ns=500 * MS), 0)


def test_calls_that_end_make_room() -> None:
    """However they end, and however often that is told."""
    queue = _queue(max_in_flight_requests=1)
    first = queue.put(_call(texts=3), 0)
    assert (queue.end(first), queue.end(first)) == (True, False)
    assert (queue.in_flight, queue.texts) == (0, 0)
    assert _order(queue) == []
    queue.put(_call(), 0)
