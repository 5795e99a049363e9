"""How quickly does the console answer about many models, and what does following them cost the monitor?

    python -m benchmarks.console [1000x3] [--rounds 20]

A registry whose state has so many models and versions, and a monitor that follows it, each in a process
of its own. The newest version of each model is reported as called. Then the console's questions are asked
one after the other. Meanwhile a small call (/healthz) every 10 ms shows how long the monitor's event loop
was held up.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import grpc
from google.protobuf import timestamp_pb2

from benchmarks.catalogs import CatalogSize, Seed, model_name
from benchmarks.memory import resident_bytes
from benchmarks.processes import Service, open_service
from headrace.local.embedded_redis import open_embedded_server
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import monitor_service_pb2_grpc, telemetry_pb2
from headrace.state.connection import open_redis
from headrace.state.keys import Keys

KEYS = Keys("console")
IN_A_REPORT = 100
PING_SECONDS = 0.01
FOLLOWED_SECONDS = 120.0

QUESTIONS = (
    "/models",
    "/models?sort=-rate",
    "/models?search=00042",
    "/models?page=20",
    "/overview",
    "/replicas",
    f"/models/{model_name(7)}",
    f"/models/{model_name(7)}/series?window=3600&step=30",
    f"/models/{model_name(7)}/calls",
)


async def measure(size: CatalogSize, rounds: int) -> None:
    """Fill, follow, ask; print what it took."""
    with tempfile.TemporaryDirectory(prefix="console-") as name:
        folder = Path(name)
        async with open_embedded_server(folder) as url, open_redis(url) as redis:
            await Seed(size).write(redis, KEYS)
            async with _monitor(url, folder) as (monitor, http):
                began = time.monotonic()
                await _followed(http, size)
                print(f"followed after            {time.monotonic() - began:8.2f} s")
                used = monitor.cpu_seconds()
                print(f"processor time for that   {used:8.2f} s")
                await _report(monitor, size)
                await _ask_all(monitor, http, rounds)
                before = monitor.cpu_seconds()
                await asyncio.sleep(10)
                print(f"processor, watched        {(monitor.cpu_seconds() - before) * 10:8.2f} %")


@asynccontextmanager
async def _monitor(url: str, folder: Path) -> AsyncIterator[tuple[Service, aiohttp.ClientSession]]:
    options = ("--redis-url", url, "--namespace", KEYS.namespace, "--data", str(folder / "r"))
    async with open_service("headrace_registry", *options) as registry:
        followed = ("--registry-address", registry.grpc, "--data", str(folder / "m"))
        async with (
            open_service("headrace_monitor", *followed) as monitor,
            aiohttp.ClientSession(f"http://{monitor.addresses['http']}") as http,
        ):
            yield monitor, http


async def _followed(http: aiohttp.ClientSession, size: CatalogSize) -> None:
    async with asyncio.timeout(FOLLOWED_SECONDS):
        while True:
            async with http.get("/api/v1/models?size=1") as response:
                found: Any = await response.json()
            if found["catalog"]["known"] and found["total"] == size.models:
                return
            await asyncio.sleep(0.05)


async def _report(monitor: Service, size: CatalogSize) -> None:
    """Report each model's newest version as called."""
    now = timestamp_pb2.Timestamp()
    now.GetCurrentTime()
    start = timestamp_pb2.Timestamp(seconds=now.seconds - 1, nanos=now.nanos)
    histogram = telemetry_pb2.Histogram(counts={200: 60, 210: 30, 230: 10}, sum_ns=10**9)
    versions = [
        telemetry_pb2.VersionTelemetry(
            model=model_name(place),
            version=size.versions,
            success_count=100,
            route_counts={"stable": 100},
            batch_counts={1: 100},
            total=histogram,
            queue=histogram,
            compute=histogram,
        )
        for place in range(size.models)
    ]

    def requests() -> Iterator[pb.ReportTelemetryRequest]:
        for sequence, place in enumerate(range(0, size.models, IN_A_REPORT), start=1):
            yield pb.ReportTelemetryRequest(
                report=telemetry_pb2.TelemetryReport(
                    replica="one",
                    boot_id="boot",
                    sequence=sequence,
                    start_time=start,
                    end_time=now,
                    versions=versions[place : place + IN_A_REPORT],
                )
            )

    async with grpc.aio.insecure_channel(monitor.grpc) as channel:
        stub: Any = monitor_service_pb2_grpc.MonitorServiceStub(channel)
        async for _ in stub.ReportTelemetry(requests()):
            pass


async def _ask_all(monitor: Service, http: aiohttp.ClientSession, rounds: int) -> None:
    address = f"http://{monitor.addresses['http']}"
    print(f"{'question':58s} {'median':>9s} {'worst':>9s} {'bytes':>9s} {'loop held up':>13s}")
    for path in QUESTIONS:
        times: list[float] = []
        held: list[float] = []
        pinging = asyncio.create_task(_ping(address, held))
        for _ in range(rounds):
            began = time.perf_counter()
            async with http.get(f"/api/v1{path}") as response:
                body = await response.read()
            assert response.status == 200, body
            times.append((time.perf_counter() - began) * 1e3)
        pinging.cancel()
        with suppress(asyncio.CancelledError):
            await pinging
        middle, worst = statistics.median(times), max(times)
        held_up = max(held, default=0.0)
        print(f"{path:58s} {middle:6.1f} ms {worst:6.1f} ms {len(body):9,} {held_up:10.1f} ms")
    print(f"resident                  {resident_bytes(monitor.pid) / 1e6:8.0f} MB")


async def _ping(address: str, held: list[float]) -> None:
    """Make a small call every 10 ms over a connection of its own."""
    async with aiohttp.ClientSession(address) as http:
        while True:
            began = time.perf_counter()
            async with http.get("/healthz") as response:
                await response.read()
            held.append((time.perf_counter() - began) * 1e3)
            await asyncio.sleep(PING_SECONDS)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs="?", default="1000x3", help="MODELSxVERSIONS")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    models, _, versions = options.size.partition("x")
    asyncio.run(measure(CatalogSize(int(models), int(versions or 1)), options.rounds))


if __name__ == "__main__":
    main()
