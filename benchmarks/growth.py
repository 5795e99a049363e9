"""What does a large catalog cost? Changes, pages, snapshots, memory, and the command line.

    python -m benchmarks.growth [10000x1] [1000x100] [--changes 50] [--replica-models 10000]

A shared state on the embedded server is filled with 10,000 models of one version each, and another with
1,000 models of 100 versions; a registry is started on it, in a process of its own. `change` is the time
that a caller waits for an alias to move, durably, and the time until a follower has it beside; `apply` is
what a replica's own bookkeeping (catalog, desired versions, routing table) costs for it; `stall` is how
long a snapshot holds up the event loop at most. Other sizes are given as MODELSxVERSIONS. At last a
replica that knows as many models and has few of them loaded (`residency.py`). Ends with status 1 if a
goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import grpc

from benchmarks import residency
from benchmarks.catalogs import CatalogSize, Seed, model_name
from benchmarks.figures import Figure
from benchmarks.memory import resident_bytes
from benchmarks.processes import Service, open_service
from headrace.local.embedded_redis import open_embedded_server
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.registry.v1 import registry_service_pb2_grpc
from headrace.state import reader
from headrace.state.catalog import Catalog
from headrace.state.changes import Change
from headrace.state.connection import Redis, open_redis
from headrace.state.differences import ModelDifference
from headrace.state.follower import StateFollower
from headrace.state.keys import Keys
from headrace.state.records import AliasRecord
from headrace.state.snapshot import read_snapshot
from headrace_inference.domain.reconciliation.residency import Caps, Residency
from headrace_inference.domain.routing.table import RoutingTable, build_table

if TYPE_CHECKING:
    Stub = registry_service_pb2_grpc.RegistryServiceAsyncStub

SIZES = (CatalogSize(10_000, 1), CatalogSize(1_000, 100))
KEYS = Keys("growth")
ALIASES = 1_000
PAGE = 100


def main() -> int:
    """Measure and print; the exit status says whether every goal was reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=_size, default=SIZES, help="MODELSxVERSIONS")
    parser.add_argument("--changes", type=int, default=50, help="how many changes are timed")
    parser.add_argument(
        "--replica-models", type=int, default=10_000, help="how many a replica knows; 0: no replica"
    )
    options = parser.parse_args()
    missed = False
    for size in options.sizes:
        print(size, flush=True)
        missed |= _show(asyncio.run(_measure(size, options.changes)))
    if options.replica_models:
        print(f"a replica that knows {options.replica_models:,} models", flush=True)
        missed |= _show(_replica(options.replica_models))
    return int(missed)


def _show(figures: Sequence[Figure]) -> bool:
    """Print figures; whether one of them misses its goal."""
    for figure in figures:
        print(figure, flush=True)
    return any(figure.missed for figure in figures)


def _replica(models: int) -> list[Figure]:
    hot, cold = min(200, models // 4), min(40, models // 8)
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        return asyncio.run(residency.measure(Path(folder), models, hot, cold))


def _size(text: str) -> CatalogSize:
    models, _, versions = text.partition("x")
    return CatalogSize(max(10, int(models)), int(versions))


async def _measure(size: CatalogSize, changes: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        async with open_embedded_server(Path(folder)) as url, open_redis(url) as redis:
            figures = await _fill(redis, size)
            figures += await _snapshot(redis)
            async with _registry(url, Path(folder)) as (service, registry):
                figures += await _pages(registry, size)
                figures += await _changes(redis, registry, changes)
                figures += [await _command_line(service.grpc, folder)]
                figures += await _aliases(redis, registry)
                figures += [Figure("registry, resident", resident_bytes(service.pid) / 1e6, "MB")]
    return figures


async def _fill(redis: Redis, size: CatalogSize) -> list[Figure]:
    """Write the state. Memory of the kept changes is what goes with them."""
    empty = await _used(redis)
    await redis.config_set("appendfsync", "no")
    await Seed(size).write(redis, KEYS)
    await redis.config_set("appendfsync", "always")
    changes: Any = await redis.memory_usage(KEYS.changes, samples=0)
    kept = await redis.xlen(KEYS.changes)
    records = await _used(redis) - empty - changes
    return [
        Figure("Redis, a version, its kept change apart", records / size.total, "B", 1500),
        Figure("Redis, a kept change of a push", changes / kept, "B"),
    ]


async def _used(redis: Redis) -> int:
    memory: Any = await redis.info("memory")
    return int(memory["used_memory"])


async def _snapshot(redis: Redis) -> list[Figure]:
    before = resident_bytes(os.getpid())
    stalls, seconds = [], []
    for _ in range(3):
        async with _longest_stall() as stall:
            started = time.perf_counter()
            snapshot = await read_snapshot(redis, KEYS)
            seconds.append(time.perf_counter() - started)
        stalls.append(stall() * 1000)
    grown = resident_bytes(os.getpid()) - before
    return [
        Figure("snapshot, best of 3", min(seconds), "s", 3),
        Figure("longest stall of the event loop by it, best of 3", min(stalls), "ms", 20),
        Figure("snapshot, resident memory of its reader", grown / 1e6, "MB"),
        *_bookkeeping(snapshot.catalog),
    ]


@asynccontextmanager
async def _longest_stall() -> AsyncIterator[Callable[[], float]]:
    longest = 0.0

    async def look() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()  # not the clock: others use the cores, too
            await asyncio.sleep(0.001)
            longest = max(longest, time.thread_time() - before)

    watching = asyncio.ensure_future(look())
    try:
        yield lambda: longest
    finally:
        watching.cancel()


def _bookkeeping(catalog: Catalog) -> list[Figure]:
    """Return what a change costs a replica that has nothing loaded."""
    wanted, table = Residency(Caps(), lambda _: 0), RoutingTable()
    wanted.follow(catalog, catalog.models, 0.0)
    table = build_table(catalog, {}, {}, table)
    times = []
    for place in range(100):
        name, revision = model_name(place % len(catalog.models)), catalog.revision + 1
        alias = ModelDifference(aliases={"a": AliasRecord(1, 0.0, revision)}, revision=revision)
        change = Change(revision, "alias.update", "a", "ada", 0.0, "", {"models": {name: alias}})
        started, former = time.perf_counter(), catalog
        catalog = reader.apply(catalog, change)
        wanted.follow(catalog, catalog.models_differing(former), 0.0)
        table = build_table(catalog, {}, {}, table)
        times.append(time.perf_counter() - started)
    return [Figure("apply of a change on a replica, p50", statistics.median(times) * 1000, "ms", 1)]


@asynccontextmanager
async def _registry(url: str, folder: Path) -> AsyncIterator[tuple[Service, Stub]]:
    """A registry in a process of its own, and its methods."""
    options = ("--redis-url", url, "--data", str(folder / "registry"), "--namespace", "growth")
    no_blobs = ("--scrub-bytes-per-second", "0")
    unlimited = [("grpc.max_receive_message_length", -1)]
    async with (
        open_service("headrace_registry", *options, *no_blobs) as service,
        grpc.aio.insecure_channel(service.grpc, options=unlimited) as channel,
    ):
        stub = registry_service_pb2_grpc.RegistryServiceStub(channel)
        await _until_read(stub)
        yield service, stub


async def _until_read(stub: Stub) -> None:
    while True:
        try:
            await stub.ListModels(pb.ListModelsRequest(page_size=1))
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.1)
        else:
            return


async def _median(call: Callable[[int], Awaitable[Any]], times: int) -> float:
    taken = []
    for place in range(times):
        started = time.perf_counter()
        await call(place)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken) * 1000


async def _pages(stub: Stub, size: CatalogSize) -> list[Figure]:
    first = await stub.ListModels(pb.ListModelsRequest(page_size=PAGE))
    parent = f"models/{model_name(size.models // 2)}"

    async def models(_: int) -> None:
        request = pb.ListModelsRequest(page_size=PAGE, page_token=first.next_page_token)
        await stub.ListModels(request)

    async def versions(_: int) -> None:
        await stub.ListVersions(pb.ListVersionsRequest(parent=parent, page_size=PAGE))

    return [
        Figure(f"page of {PAGE} models, p50", await _median(models, 30), "ms", 20),
        Figure(f"page of {PAGE} versions, p50", await _median(versions, 30), "ms", 20),
    ]


def _move(model: str, alias: str) -> pb.UpdateAliasRequest:
    name = f"models/{model}/aliases/{alias}"
    return pb.UpdateAliasRequest(alias={"name": name, "version": 1}, allow_missing=True)


async def _changes(redis: Redis, stub: Stub, changes: int) -> list[Figure]:
    follower = StateFollower(redis, KEYS)
    await follower.refresh()
    following = asyncio.ensure_future(follower.run())

    async def change(place: int) -> None:
        await stub.UpdateAlias(_move(model_name(place % 10), "champion"))

    async def change_and_see(place: int) -> None:
        revision = follower.catalog.revision + 1
        await change(place)
        await follower.wait_for_revision(revision)

    try:
        return [
            Figure("change, durable and answered, p50", await _median(change, changes), "ms", 10),
            Figure(
                "the same, and seen by a follower, p50",
                await _median(change_and_see, changes),
                "ms",
            ),
        ]
    finally:
        following.cancel()


async def _command_line(address: str, home: str) -> Figure:
    """`headrace models`, all of them."""
    command = (sys.executable, "-m", "headrace.cli", "models")
    environment = {**os.environ, "HEADRACE_REGISTRY": address, "HOME": home}
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=subprocess.DEVNULL
        )
        if await process.wait():
            raise RuntimeError("headrace models failed")
        taken.append(time.perf_counter() - started)
    return Figure("headrace models, best of 3", min(taken), "s", 1.5)


async def _aliases(redis: Redis, stub: Stub) -> list[Figure]:
    """Return what one change of a model with many aliases costs."""
    taken = await _median(lambda at: stub.UpdateAlias(_move(model_name(0), f"a{at}")), ALIASES - 2)
    (_, fields), *_ = cast("Any", await redis.xrevrange(KEYS.changes, count=1))
    return [
        Figure(f"one more of {ALIASES:,} aliases of a model, p50", taken, "ms", 10),
        Figure("its entry in the changes", len(fields[reader.CHANGE_FIELD]), "B", 1000),
    ]


if __name__ == "__main__":
    sys.exit(main())
