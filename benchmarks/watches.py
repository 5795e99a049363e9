"""What do many watches of changes cost?

    python -m benchmarks.watches [--watches 1000] [--changes 25]

A registry in a process of its own, on the embedded server; the watches in another, each on its own
connection, or `--share` of them on one; the caller in a third. Changes are made one after the other, a
fifth of a second apart. Delivery is the time from the caller's acknowledgement to the arrival of the change
at a watch, over all changes and watches. Memory is what the registry's process grew by, connections
included, over the watches; CPU is what it used, over the changes. Ends with status 1 if a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from benchmarks.memory import resident_bytes
from benchmarks.processes import Service, open_service
from headrace.local.embedded_redis import open_embedded_server
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.registry.v1 import registry_service_pb2_grpc
from headrace.service.parent_death import tether

PAUSE_SECONDS = 0.2
MAX_P99_MILLISECONDS = 250.0
MAX_KILOBYTES = 50.0
METHOD = "/headrace.registry.v1.RegistryService/WatchChanges"


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry process, and its methods."""

    service: Service
    stub: Any


@asynccontextmanager
async def open_registry(url: str, folder: Path) -> AsyncIterator[Registry]:
    """A registry in a process of its own."""
    options = ("--redis-url", url, "--data", str(folder), "--max-watches", "100000")
    async with (
        open_service("headrace_registry", *options) as service,
        grpc.aio.insecure_channel(service.grpc) as channel,
    ):
        yield Registry(service, registry_service_pb2_grpc.RegistryServiceStub(channel))


async def make_change(registry: Registry, name: str) -> float:
    """Make a model; when that was acknowledged."""
    request = pb.CreateModelRequest(model={"name": f"models/{name}"})
    await registry.stub.CreateModel(request, wait_for_ready=True)
    return time.monotonic()


async def measure(watches: int, changes: int, share: int) -> dict[str, float]:
    """The figures of so many watches."""
    with tempfile.TemporaryDirectory() as name:
        async with (
            open_embedded_server(Path(name) / "state") as url,
            open_registry(url, Path(name) / "registry") as registry,
        ):
            await make_change(registry, "first")
            await asyncio.sleep(1)
            before = resident_bytes(registry.service.pid)
            watching = await asyncio.create_subprocess_exec(
                *(*tether(), sys.executable, "-m", "benchmarks.watches", "--as-watcher"),
                *(registry.service.grpc, "--watches", str(watches), "--share", str(share)),
                *("--changes", str(changes)),
                stdout=subprocess.PIPE,
                limit=1 << 28,
            )
            assert watching.stdout is not None
            await watching.stdout.readline()  # all of them have the first change
            each = (resident_bytes(registry.service.pid) - before) / watches
            used, acknowledged = registry.service.cpu_seconds(), []
            for count in range(changes):
                acknowledged.append(await make_change(registry, f"m{count}"))
                await asyncio.sleep(PAUSE_SECONDS)
            arrived = json.loads(await watching.stdout.readline())
            used = registry.service.cpu_seconds() - used
            await watching.wait()
    late = sorted(seen[at] - acknowledged[at] for seen in arrived for at in range(changes))
    return {
        "delivery_p50_ms": late[len(late) // 2] * 1e3,
        "delivery_p99_ms": late[int(len(late) * 0.99)] * 1e3,
        "delivery_max_ms": late[-1] * 1e3,
        "cpu_a_change_ms": used / changes * 1e3,
        "memory_each_kb": each / 1e3,
    }


async def watch(address: str, watches: int, changes: int, share: int) -> None:
    """Watch, say when all watches have begun, and at last when each change arrived at each of them."""
    alone = [("grpc.use_local_subchannel_pool", 1)]
    channels = [
        grpc.aio.insecure_channel(address, options=alone) for _ in range(-(-watches // share))
    ]
    calls: list[Any] = []
    for count in range(watches):
        method: Any = channels[count // share].unary_stream(METHOD)  # bytes, not parsed
        calls.append(method(b"", wait_for_ready=True))
        if count % 50 == 49:
            await asyncio.gather(*(each.read() for each in calls[-50:]))
    await asyncio.gather(*(each.read() for each in calls[watches - watches % 50 :]))
    print(flush=True)
    arrived = await asyncio.gather(*(_arrivals(call, changes) for call in calls))
    print(json.dumps(arrived), flush=True)
    for call in calls:
        call.cancel()


async def _arrivals(call: Any, changes: int) -> list[float]:
    times = []
    for _ in range(changes):
        await call.read()
        times.append(time.monotonic())
    return times


def main() -> int:
    """Measure and print; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--watches", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=25)
    parser.add_argument("--share", type=int, default=1)
    parser.add_argument("--as-watcher", default="")
    asked = parser.parse_args()
    if asked.as_watcher:
        asyncio.run(watch(asked.as_watcher, asked.watches, asked.changes, asked.share))
        return 0
    figures = asyncio.run(measure(asked.watches, asked.changes, asked.share))
    for name, value in figures.items():
        print(f"{name:18} {value:9.1f}")
    reached = figures["delivery_p99_ms"] < MAX_P99_MILLISECONDS
    return 0 if reached and figures["memory_each_kb"] < MAX_KILOBYTES else 1


if __name__ == "__main__":
    sys.exit(main())
