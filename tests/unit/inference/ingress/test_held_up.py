"""Versions that held up an event loop rest for a while, by a clock that stands still until told."""

from __future__ import annotations

import pytest

from headrace_inference.domain.ingress.held_up import HeldUp
from tests.unit.inference.doubles import FakeClock


@pytest.mark.parametrize(("took", "used", "rest"), [(0.03, 0.03, 3.0), (0.03, 0.0001, 0.06)])
def test_a_version_rests_by_what_its_runs_used(took: float, used: float, rest: float) -> None:
    """A hundred times that; where others had the core meanwhile, twice as long as it took."""
    clock = FakeClock()
    held_up = HeldUp(clock)
    assert not held_up.any
    held_up.add([1, 2], int(took * 1e9), int(used * 1e9))
    clock.advance(0.99 * rest)
    before = held_up.has(1), held_up.has(3)
    clock.advance(0.02 * rest)
    assert ((True, False), False, False) == (before, held_up.has(1), held_up.any)
