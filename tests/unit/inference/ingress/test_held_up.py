"""Versions whose runs held up an event loop, and how long they rest."""

from __future__ import annotations

from headrace_inference.domain.ingress.held_up import REST, HeldUp
from tests.unit.inference.doubles import FakeClock

SECOND = 10**9


def test_a_version_rests_by_how_long_it_held_the_loop_up() -> None:
    """Others do not; and nothing is kept of those that may run again."""
    clock = FakeClock()
    held_up = HeldUp(clock)
    assert (False, False) == (held_up.any, held_up.has(1))
    held_up.add([1], SECOND, SECOND)
    held_up.add([2], 2 * SECOND, 2 * SECOND)
    clock.advance(REST * 1.0 - 0.001)
    assert [True, True, False] == [held_up.has(one) for one in (1, 2, 3)]
    clock.advance(0.002)
    assert [False, True] == [held_up.has(one) for one in (1, 2)]
    clock.advance(REST)
    assert [False, False] == [held_up.has(one) for one in (1, 2)]
    assert not held_up.any


def test_a_version_that_waited_for_others_rests_for_a_moment() -> None:
    """On a busy machine that happens to every run now and then."""
    clock = FakeClock()
    held_up = HeldUp(clock)
    held_up.add([1], SECOND, SECOND // 1000)
    clock.advance(1.9)
    assert held_up.has(1)
    clock.advance(0.2)
    assert not held_up.has(1)
