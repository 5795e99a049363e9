"""Which waiting request is next: levels, bounds, and those that waited too long."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.state.records import Priorities, QueuePolicy, ServingConfig, TimeoutAction
from headrace_inference.domain.scheduling import queues
from headrace_inference.domain.scheduling.queues import FifoQueue, PriorityQueue, RequestQueue
from headrace_inference.domain.scheduling.requests import InferenceRequest, RequestPlan
from headrace_inference.domain.versions.request_validation import plan_request
from headrace_inference.domain.versions.statistics import VersionCounters
from tests.unit.inference.doubles import SIGNATURE, FakeClock, RecordingSink, header

DELAYING = QueuePolicy(timeout_microseconds=10, timeout_action=TimeoutAction.DELAY)


def plan(priority: int = 0, timeout_us: int = 0) -> RequestPlan:
    """The plan of a request of one row."""
    plain = plan_request("m", SIGNATURE, 8, [header()], [])
    return replace(plain, priority=priority, timeout_us=timeout_us)


def request(
    name: str, priority: int = 0, received_ns: int = 0, timeout_us: int = 0
) -> InferenceRequest:
    """A request that answers to its name."""
    asked = plan(priority, timeout_us)
    sink = RecordingSink()
    return InferenceRequest(asked, [b""], "", received_ns, None, VersionCounters(), sink, name)


def drained(queue: RequestQueue) -> str:
    """The names of what waits, in the order in which it would run."""
    names = []
    while queue:
        names.append(str(queue[0].reply))
        assert names[-1] == queue.popleft().reply
    return "".join(names)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (ServingConfig(), FifoQueue),
        (ServingConfig(queue=QueuePolicy(5, 10, allow_timeout_override=True)), FifoQueue),
        (ServingConfig(queue=DELAYING), PriorityQueue),
        (ServingConfig(priorities=Priorities(2, 1)), PriorityQueue),
    ],
)
def test_only_what_needs_levels_has_them(config: ServingConfig, expected: type) -> None:
    """A plain version keeps its plain queue."""
    assert expected is type(queues.open_queue(config, FakeClock()))


def test_higher_levels_go_first_and_each_level_in_order() -> None:
    """No priority, and one that there is not, are the default level."""
    queue = PriorityQueue(QueuePolicy(), Priorities(levels=3, default_level=2), FakeClock())
    asked = [("a", 3), ("b", 0), ("c", 1), ("d", 2), ("e", 9), ("f", 1), ("g", 3)]
    queue.put([request(name, priority) for name, priority in asked])
    assert (7, "cfbdeag") == (len(queue), drained(queue))


def test_each_level_has_its_bound() -> None:
    """A full level refuses, others go on taking."""
    policies = {2: QueuePolicy(max_requests=1)}
    queue = PriorityQueue(QueuePolicy(max_requests=2), Priorities(2, 1, policies), FakeClock())
    asked = [("a", 1), ("b", 2), ("c", 2), ("d", 1), ("e", 1)]
    taken, over = queue.put([request(name, priority) for name, priority in asked])
    assert ["a", "b", "d"] == [pending.reply for pending in taken]
    assert ["c", "e"] == [pending.reply for pending in over]
    assert 1 == queue.policy_of(plan(priority=2)).max_requests


def test_a_plain_queue_takes_what_fits() -> None:
    """The first ones, in order."""
    queue = FifoQueue(QueuePolicy(max_requests=2))
    taken, over = queue.put([request("a"), request("b"), request("c")])
    assert (2, 1, "ab") == (len(taken), len(over), drained(queue))
    assert ((), 0) == (queue.put([])[1], len(queue))


def test_what_waited_too_long_is_put_behind_its_level_and_before_lower_ones() -> None:
    """It is late from the moment on that its time has passed, and is still run."""
    clock = FakeClock()
    queue = PriorityQueue(DELAYING, Priorities(2, 1), clock)
    queue.put([request("a"), request("b", received_ns=5000), request("c", priority=2)])
    clock.now_ns = 12_000
    assert "bac" == drained(queue)


@pytest.mark.parametrize(
    "queue", [FifoQueue(DELAYING), PriorityQueue(DELAYING, Priorities(2, 1), FakeClock(12_000))]
)
def test_requests_can_be_taken_out_wherever_they_are(queue: RequestQueue) -> None:
    """Those that are not there any more are not taken; the others keep their order."""
    a, b, c, d = (
        request(name, received_ns=ns) for name, ns in (("a", 0), ("b", 5), ("c", 9000), ("d", 1))
    )
    queue.put([a, b, c])
    assert queue[0] in (a, c)  # late ones are behind by now
    assert {a, b, c} == set(queue.all())
    assert (0, [a, b]) == (queue.oldest_ns(), list(queue.take_out({b, d, a})))
    assert (9000, "c") == (queue.oldest_ns(), drained(queue))


@pytest.mark.parametrize(
    ("limit", "override", "own", "expected"),
    [
        (0, False, 0, 0),
        (10, False, 0, 10),
        (10, False, 5, 10),
        (10, True, 5, 5),
        (10, True, 50, 10),
        (0, True, 50, 50),
        (10, True, 0, 10),
    ],
)
def test_a_request_can_shorten_its_timeout(
    limit: int, override: bool, own: int, expected: int
) -> None:
    """Where the policy lets it, and never lengthen it."""
    policy = QueuePolicy(timeout_microseconds=limit, allow_timeout_override=override)
    assert expected == queues.timeout_us(policy, plan(timeout_us=own))


@pytest.mark.parametrize(
    ("policy", "waited_ns", "expected"),
    [
        (QueuePolicy(timeout_microseconds=10), 10_001, True),
        (QueuePolicy(timeout_microseconds=10), 10_000, False),
        (DELAYING, 10_001, False),
        (QueuePolicy(), 10**12, False),
    ],
)
def test_only_the_action_reject_refuses(
    policy: QueuePolicy, waited_ns: int, expected: bool
) -> None:
    """Delayed ones wait on."""
    assert expected == queues.is_refused(policy, request("a"), waited_ns)
