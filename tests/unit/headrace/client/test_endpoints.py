"""Which of several addresses a call goes to, and how many calls may be repeated."""

from __future__ import annotations

import pytest

from headrace.client.endpoints import FIRST_REST_SECONDS, LONGEST_REST_SECONDS, Endpoints
from headrace.client.retry_budget import MOST, RESERVE, RESERVE_PER_SECOND, RetryBudget

NOW = 100.0


def three(*, spread: bool = True) -> Endpoints:
    """Of a service at three addresses."""
    return Endpoints(["a", "b", "c"], spread=spread)


def test_calls_go_to_the_address_that_has_the_fewest() -> None:
    """So one that is slow, or hangs, gets fewer by itself."""
    endpoints = three()
    for endpoint, count in zip(endpoints.all, (2, 1, 3), strict=True):
        endpoint.in_flight = count
    assert ["b"] * 3 == [endpoints.pick(NOW).address for _ in range(3)]


def test_alike_addresses_take_turns() -> None:
    """Callers that wait for each answer are spread, too."""
    endpoints = three()
    assert {"a", "b", "c"} == {endpoints.pick(NOW).address for _ in range(3)}


def test_a_service_that_is_not_spread_is_called_at_its_first_address() -> None:
    """As long as that is well."""
    endpoints = three(spread=False)
    before = [endpoints.pick(NOW).address for _ in range(2)]
    endpoints.all[0].failed(NOW)
    after = endpoints.pick(NOW).address
    assert (["a", "a"], "b") == (before, after)


def test_a_repeated_call_goes_elsewhere() -> None:
    """Even to what is not well, before the same again."""
    endpoints = three(spread=False)
    first, second, _ = endpoints.all
    second.failed(NOW)
    assert "c" == endpoints.pick(NOW, [first]).address
    assert endpoints.has_another(NOW, [first])
    endpoints.all[2].failed(NOW)
    assert "b" == endpoints.pick(NOW, [first]).address
    assert not endpoints.has_another(NOW, [first])


def test_an_address_rests_the_longer_the_oftener_it_fails() -> None:
    """An answer of any kind makes it whole."""
    endpoint = three().all[0]
    rests = []
    for _ in range(9):
        endpoint.failed(NOW)
        rests.append(endpoint.rests_until - NOW)
    assert [FIRST_REST_SECONDS, 2 * FIRST_REST_SECONDS] == pytest.approx(rests[:2])
    assert LONGEST_REST_SECONDS == rests[-1]
    endpoint.answered()
    assert (0, 0.0) == (endpoint.failures, endpoint.rests_until)


def test_one_that_was_silent_is_asked_before_it_gets_a_call() -> None:
    """Its rest alone does not bring it back."""
    endpoints = three(spread=False)
    first = endpoints.all[0]
    first.failed(NOW, silent=True)
    later = NOW + LONGEST_REST_SECONDS
    assert [] == endpoints.to_be_asked(NOW)
    assert [first] == endpoints.to_be_asked(later)
    assert "b" == endpoints.pick(later).address
    first.answered()
    assert "a" == endpoints.pick(later).address


def test_where_nothing_is_well_calls_are_made_all_the_same() -> None:
    """Somebody has to find out."""
    endpoints = three()
    for endpoint in endpoints.all:
        endpoint.failed(NOW, silent=True)
    assert endpoints.pick(NOW).address in {"a", "b", "c"}


def withdrawals(budget: RetryBudget, now: float, most: int = 100_000) -> int:
    """How many calls may be repeated now."""
    return next(count for count in range(most) if not budget.withdraw(now))


def test_a_budget_has_a_reserve_and_a_share_of_the_calls() -> None:
    """And no more than so many, whatever came before."""
    budget = RetryBudget(0.2, NOW)
    for _ in range(1000):
        budget.deposit()
    assert RESERVE + 200 == pytest.approx(withdrawals(budget, NOW), abs=1)
    for _ in range(100_000):
        budget.deposit()
    assert MOST == withdrawals(budget, NOW)


def test_a_budget_fills_with_time() -> None:
    """So a lone caller goes on until its deadline."""
    budget = RetryBudget(0.2, NOW)
    withdrawals(budget, NOW)
    assert RESERVE_PER_SECOND == withdrawals(budget, NOW + 1.0)
    assert RESERVE == withdrawals(budget, NOW + 1000.0)


def test_no_share_is_no_repetition() -> None:
    """Not even of the reserve."""
    assert 0 == withdrawals(RetryBudget(0.0, NOW), NOW + 60.0)
