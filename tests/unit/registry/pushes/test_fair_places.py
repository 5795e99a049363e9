"""Places in turns: who has few comes before who has many."""

from __future__ import annotations

import asyncio

from headrace_registry.domain.pushes.fair_places import FairPlaces


async def test_an_owner_with_many_waits_behind_one_with_none() -> None:
    """One that asks ten times holds another up for one turn, not for ten."""
    places, order = FairPlaces(1), []
    done = asyncio.Event()

    async def hold(owner: str) -> None:
        await places.take(owner)
        order.append(owner)
        if len(order) == 12:
            done.set()
        await asyncio.sleep(0)  # others may run while the place is held
        places.give_back(owner)

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        for owner in [*["busy"] * 10, "late", "later"]:
            tasks.create_task(hold(owner))
        await done.wait()
    assert {"late", "later"} <= set(order[:4])


async def test_places_are_counted_for_each_owner() -> None:
    """Of two that wait, the one that holds fewer places is next, whoever came first."""
    places, got = FairPlaces(2), []

    async def take(owner: str) -> None:
        await places.take(owner)
        got.append(owner)

    await take("a")
    await take("a")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(take("a"))
        tasks.create_task(take("b"))
        await asyncio.sleep(0)
        places.give_back("a")
        places.give_back("a")
    assert ["a", "a", "b", "a"] == got


async def test_who_gives_up_waiting_costs_no_place() -> None:
    """Neither while it waits, nor when its turn has just come."""
    places = FairPlaces(1)
    await places.take("a")
    waiting = asyncio.ensure_future(places.take("b"))
    chosen = asyncio.ensure_future(places.take("c"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    places.give_back("a")
    chosen.cancel()
    await asyncio.wait([chosen])
    assert places.take_nowait("d")
    assert not places.take_nowait("d")
