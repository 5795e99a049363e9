"""One budget for all wires: what fits, what does not, and what is found out before a refusal."""

from __future__ import annotations

import pytest

from headrace.errors import ResourceExhausted
from headrace_inference.domain.ingress.budget import InFlightBudget
from headrace_inference.domain.ingress.limits import IngressLimits

LIMITS = IngressLimits(max_requests=3, max_bytes=100)


@pytest.mark.parametrize(
    ("held", "asked", "fits"),
    [
        ([], (1, 100), True),
        ([], (1, 101), False),
        ([], (3, 0), True),
        ([], (4, 0), False),
        ([(2, 60)], (1, 40), True),
        ([(2, 60)], (1, 41), False),
        ([(3, 0)], (0, 100), True),
        ([(3, 0)], (1, 0), False),
        ([(1, 60), (1, 30)], (1, 10), True),
        ([(1, 60), (1, 30)], (2, 10), False),
    ],
)
def test_what_fits(held: list[tuple[int, int]], asked: tuple[int, int], fits: bool) -> None:
    """Requests and bytes are bounded each, whoever holds them; what does not fit changes nothing."""
    budget = InFlightBudget(LIMITS)
    for requests, size in held:
        budget.hold(requests, size)
    before = budget.requests, budget.bytes
    assert fits == budget.try_hold(*asked)
    taken = asked if fits else (0, 0)
    assert (before[0] + taken[0], before[1] + taken[1]) == (budget.requests, budget.bytes)


def test_answers_are_held_whatever_the_limit() -> None:
    """They are there already; what comes next is refused for them, until they are sent."""
    budget = InFlightBudget(LIMITS)
    budget.hold_answers(150)
    with pytest.raises(ResourceExhausted) as refused:
        budget.hold(1, 0)
    assert "REPLICA_OVERLOADED" == refused.value.reason
    budget.release(0, 150)
    with budget.holding(1, 100):
        assert (1, 100) == (budget.requests, budget.bytes)
    assert (0, 0) == (budget.requests, budget.bytes)


def test_estimates_are_refreshed_before_a_refusal() -> None:
    """What was only estimated to be held is looked at again, and no more often than that."""
    budget = InFlightBudget(LIMITS)
    budget.hold_answers(90)
    refreshed = []

    def refresh() -> None:
        refreshed.append(budget.bytes)
        budget.release(0, 50)

    budget.add_estimate(refresh)
    budget.hold(1, 10)
    assert [] == refreshed
    budget.hold(1, 20)
    assert ([100], 70) == (refreshed, budget.bytes)
