"""How many requests are under way where others come."""

from __future__ import annotations

import asyncio

import pytest

from headrace.lifecycle.predictors.flights import FIRST, AdaptiveRoom, FlightWindow


def settled(window: FlightWindow, alone_seconds: float, at_once: float) -> int:
    """The size at which a window stays, where replicas answer so many at once, each alone in that time."""
    for _ in range(2000):
        window.answered(alone_seconds * max(1.0, window.size / at_once))
    return window.size


@pytest.mark.parametrize(("at_once", "sizes"), [(1, (1, 3)), (4, (4, 7)), (100, (8, 8))])
def test_a_window_keeps_replicas_busy_and_no_more(at_once: int, sizes: tuple[int, int]) -> None:
    """A few wait, however many are answered at once; the most that was asked for is a bound."""
    assert sizes[0] <= settled(FlightWindow(8), 0.01, at_once) <= sizes[1]


def test_a_window_gets_smaller_where_answers_wait_for_others_and_large_again() -> None:
    """One stays under way."""
    window = FlightWindow(8)
    assert FIRST == window.size
    settled(window, 0.01, 100)
    for _ in range(40):
        window.answered(0.1)
    assert 2 >= window.size >= 1
    assert 8 == settled(window, 0.01, 100)


async def test_a_room_lets_in_as_many_as_there_is_room_for_after_cancellation_too() -> None:
    """A place that its taker did not live to use is another's."""
    room, inside, go = AdaptiveRoom(1), 0, asyncio.Event()

    async def take() -> None:
        nonlocal inside
        async with room.taken():
            inside += 1
            assert 1 == inside
            await go.wait()
            inside -= 1

    first, second, third = (asyncio.ensure_future(take()) for _ in range(3))
    await asyncio.sleep(0)
    go.set()
    second.cancel()
    await asyncio.gather(first, third)
    assert second.cancelled()
    async with asyncio.timeout(5):
        await take()
