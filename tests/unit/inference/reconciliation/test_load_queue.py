"""The queue of loads: quick ones are found wherever they are, and all come by their rank."""

from __future__ import annotations

import asyncio

from headrace.state.desired import Key
from headrace.state.records import LoadState, VersionRecord
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.reconciliation.load_queue import LoadQueue
from headrace_inference.domain.reconciliation.load_slots import LoadPlaces
from headrace_inference.domain.reconciliation.reconciler import AHEAD, VersionReconciler
from headrace_inference.domain.versions.statistics import StatisticsRegistry
from tests.unit.inference.doubles import DoublingRunner, catalog
from tests.unit.inference.reconciliation.test_broken_version import wait_for


def test_quick_ones_are_found_behind_others() -> None:
    """Each is looked at once, so many at a time."""
    queue, looked = LoadQueue(), []
    for number in range(10):
        queue.add(("m", number), rank=number)

    def is_quick(key: Key) -> bool:
        looked.append(key[1])
        return key[1] == 7

    def first() -> list[int]:
        return [number for _, number in queue.first(3, lambda _rank, _key: True, is_quick)]

    seen = [first(), first(), first()]
    assert [[0, 1, 2], [0, 1, 2], [7, 0, 1, 2]] == seen
    assert list(range(9)) == looked
    assert not queue.looks_on, "a quick one is known"


def test_what_waits_no_more_goes() -> None:
    """A version with another rank is there once."""
    queue = LoadQueue()
    queue.add(("m", 1), rank=4)
    queue.add(("m", 1), rank=0)
    queue.add(("m", 2), rank=1)
    ranks = {("m", 1): 0}
    found = queue.first(5, lambda rank, key: ranks.get(key) == rank, lambda _: False)
    again = queue.first(5, lambda rank, key: ranks.get(key) == rank, lambda _: False)
    assert [("m", 1)] == found == again
    assert not queue.looks_on


class HangingLoader:
    """Loads one version at once, and never the others."""

    async def load(self, record: VersionRecord) -> DoublingRunner:
        if record.number != AHEAD * 3:
            await asyncio.Event().wait()
        return DoublingRunner()


async def test_a_prepared_version_waits_for_none_of_many() -> None:
    """However many come before it that must be prepared."""
    places = LoadPlaces(2, is_quick=lambda record: record.number == AHEAD * 3)
    reconciler = VersionReconciler(HangingLoader(), StatisticsRegistry(), SYSTEM_CLOCK, places)
    numbers = range(1, AHEAD * 3 + 1)
    aliases = {f"a{number}": number for number in numbers[:-1]}
    async with reconciler.running():
        reconciler.want(catalog(*numbers, aliases=aliases, keep_latest=1))
        await wait_for(reconciler, AHEAD * 3, LoadState.READY)
