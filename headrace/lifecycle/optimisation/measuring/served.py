"""Measures candidates and their parent as versions of one model in the suite, taking turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from headrace import errors
from headrace.lifecycle.optimisation.measuring.costs import Cost, Turns
from headrace.lifecycle.predictors.predictor import Tensors

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Version, VersionStatistics

IN_FLIGHT = 32
_TURN_SECONDS = 0.4
_ROUNDS = 3
"""So many at least: a median of fewer says little."""
_TELLING_SECONDS = 15.0
"""So long it waits for replicas to tell what they counted."""


async def measure_served(
    client: AsyncClient,
    versions: Sequence[Version],
    rows: Sequence[Tensors],
    seconds: float,
    told: Callable[[str], None] = lambda _: None,
) -> list[Cost]:
    """What each version costs by requests of one row; all take turns for so many seconds in all."""
    turns = [Turns() for _ in versions]
    for version in versions:
        await client.wait_until_ready(version.model, version.number, timeout_seconds=120.0)
        await _one(client, version, rows[0])
    before = await _counted(client, versions)
    end, finished = time.monotonic() + seconds, 0
    while finished < _ROUNDS or time.monotonic() < end:
        order = list(range(len(versions)))
        order = order[finished % len(order) :] + order[: finished % len(order)]
        for place in order:
            await _take_turn(client, versions[place], rows, turns[place])
        finished += 1
        told(f"round {finished}")
    return await _costs(client, versions, turns, before)


async def _take_turn(
    client: AsyncClient, version: Version, rows: Sequence[Tensors], turns: Turns
) -> None:
    """One request after the other, then many under way."""
    end = time.monotonic() + _TURN_SECONDS
    place = 0
    while time.monotonic() < end:
        start = time.perf_counter()
        await _one(client, version, rows[place % len(rows)])
        turns.latencies.append(time.perf_counter() - start)
        place += 1
    count, took = await _under_way(client, version, rows)
    turns.rates.append(count / took)
    turns.requests += place + count


async def _under_way(
    client: AsyncClient, version: Version, rows: Sequence[Tensors]
) -> tuple[int, float]:
    start = time.perf_counter()
    end = start + _TURN_SECONDS

    async def go_on(place: int) -> int:
        count = 0
        while time.perf_counter() < end:
            await _one(client, version, rows[(place + count) % len(rows)])
            count += 1
        return count

    counts = await asyncio.gather(*(go_on(place) for place in range(IN_FLIGHT)))
    return sum(counts), time.perf_counter() - start


async def _one(client: AsyncClient, version: Version, row: Tensors) -> None:
    while True:
        try:
            await client.infer(version.model, row, version=version.number)
        except errors.ResourceExhausted as error:
            await asyncio.sleep(error.retry_after_seconds or 0.05)
        else:
            return


Counted = Mapping[int, "VersionStatistics"]


async def _counted(client: AsyncClient, versions: Sequence[Version]) -> Counted:
    """What the monitor knows of each version; nothing where no monitor answers."""
    try:
        found = await client.statistics(3600.0, versions[0].model)
    except errors.HeadraceError:
        return {}
    return {each.version: each for each in found.versions}


async def _costs(
    client: AsyncClient, versions: Sequence[Version], turns: Sequence[Turns], before: Counted
) -> list[Cost]:
    memory = await _memory(client, versions[0].model)
    counted = await _all_counted(client, versions, turns, before)
    return [
        _cost(version, mine, memory.get(version.number, 0), counted.get(version.number))
        for version, mine in zip(versions, turns, strict=True)
    ]


async def _all_counted(
    client: AsyncClient, versions: Sequence[Version], turns: Sequence[Turns], before: Counted
) -> Counted:
    """Statistics that have all requests; what there is where they do not come in time."""
    end = time.monotonic() + _TELLING_SECONDS
    while True:
        found = await _counted(client, versions)
        missing = any(
            version.number not in found or found[version.number].success_count < mine.requests
            for version, mine in zip(versions, turns, strict=True)
        )
        if not missing or (not found and not before) or time.monotonic() > end:
            return found
        await asyncio.sleep(0.5)


def _cost(
    version: Version, turns: Turns, memory_bytes: int, counted: VersionStatistics | None
) -> Cost:
    cpu, joules, source = _used(counted) if counted else (None, None, "")
    return Cost(
        p50_ms=turns.p50_ms(),
        rows_per_second=turns.rows_per_second(),
        requests=turns.requests,
        cpu_seconds=cpu,
        joules=joules,
        energy_by=source,
        memory_bytes=memory_bytes,
        batches=version.config.batching.max_batch_size > 0,
    )


def _used(counted: VersionStatistics) -> tuple[float | None, float | None, str]:
    """Processor time and energy for 1,000 rows, and who measured the latter."""
    rows = counted.row_count or counted.success_count
    cpu, energy = counted.measures.get("cpu_time_us"), counted.measures.get("energy_mj")
    if not rows:
        return None, None, ""
    seconds = cpu / 1e6 / rows * 1000 if isinstance(cpu, int) and cpu else None
    if not isinstance(energy, Mapping) or not sum(energy.values()):
        return seconds, None, ""
    joules = sum(energy.values()) / 1e3 / rows * 1000
    return seconds, joules, ", ".join(str(name) for name, count in energy.items() if count)


async def _memory(client: AsyncClient, model: str) -> dict[int, int]:
    """What each version holds on the replica where it holds most."""
    found: dict[int, int] = {}
    for replica in await client.replicas(model=model):
        for each in replica.versions:
            if each.model == model:
                found[each.number] = max(found.get(each.number, 0), each.memory_bytes)
    return found
