"""What do the largest reports, questions and scrapes cost the monitor's other callers, and its memory?

    python -m benchmarks.monitor [--replicas 4] [--rounds 3]

A monitor in a process of its own. Replicas send reports of 4 MB (230 versions each, with full histograms)
side by side, while others ask for a day by replica, for a series, for /metrics and for the dashboard's
JSON, one after the other. Meanwhile another process makes a small call (health) every 10 ms: its times
show how long the event loop, and whatever keeps the interpreter, held it up. Then 20 reports of 50 MB are
sent at once, which are refused. Resident memory is the peak of the monitor's process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np
from google.protobuf import duration_pb2, timestamp_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.processes import Service, open_service
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import monitor_service_pb2_grpc as pb_grpc
from headrace.monitor.v1 import telemetry_pb2
from headrace.telemetry import packed_histograms
from headrace.telemetry.histogram import BUCKET_COUNT, Histogram

VERSIONS = 230
PING_SECONDS = 0.01
OVERSIZED_BYTES = 50 * 2**20
_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


def peak_megabytes(monitor: Service) -> float:
    """Read the most memory that a process had."""
    status = Path(f"/proc/{monitor.pid}/status").read_text()
    (line,) = (each for each in status.splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def request(replica: int, sequence: int) -> pb.ReportTelemetryRequest:
    """A report as large as may be, sent now."""
    buckets, counts = packed_histograms.pack(Histogram.of_all_buckets(np.full(BUCKET_COUNT, 3)))
    histogram = telemetry_pb2.Histogram(buckets=buckets, bucket_counts=counts, sum_ns=10**9)
    versions = [
        telemetry_pb2.VersionTelemetry(
            model=f"m{replica}-{number}",
            version=1,
            total=histogram,
            queue=histogram,
            compute=histogram,
        )
        for number in range(VERSIONS)
    ]
    now = timestamp_pb2.Timestamp()
    now.FromNanoseconds(time.time_ns())
    report = telemetry_pb2.TelemetryReport(
        replica=f"r{replica}",
        boot_id="boot",
        sequence=sequence,
        start_time=now,
        end_time=now,
        versions=versions,
    )
    return pb.ReportTelemetryRequest(report=report, sent_time=now)


def ping(address: str) -> None:
    """Call until told to stop by the end of the input, then print what each call took, in seconds."""
    took: list[float] = []
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    with grpc.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        stub.Check(health_pb2.HealthCheckRequest())
        print(flush=True)  # from here on it is measured
        while not ended.wait(PING_SECONDS):
            began = time.perf_counter()
            stub.Check(health_pb2.HealthCheckRequest())
            took.append(time.perf_counter() - began)
    print(json.dumps(took))


async def pinged(monitor: Service, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
    """Return what `work` gives; prints what the calls of another process took meanwhile."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.monitor", "--ping", monitor.grpc),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    done = await work()
    printed, _ = await process.communicate(b"")  # the end of its input
    _show(name, json.loads(printed))
    return done


async def ask(monitor: Service) -> None:
    """Ask all questions, one after the other."""
    day = duration_pb2.Duration(seconds=86_400)
    query = pb.QueryStatisticsRequest(window=day, by_replica=True)
    series = pb.QuerySeriesRequest(query=pb.QueryStatisticsRequest(window=day))
    async with (
        grpc.aio.insecure_channel(monitor.grpc, options=_UNLIMITED) as channel,
        aiohttp.ClientSession(f"http://{monitor.addresses['http']}") as http,
    ):
        stub: Any = pb_grpc.MonitorServiceStub(channel)
        await stub.QueryStatistics(query)
        await stub.QuerySeries(series)
        for path in ("/metrics", "/api/statistics?window=86400", "/api/series?window=86400"):
            async with http.get(path) as response:
                response.raise_for_status()
                await response.read()


async def send(monitor: Service, messages: list[bytes]) -> str:
    """Return what becomes of messages on a stream of their own: OK or a status."""
    options = [*_UNLIMITED, *_OWN_CONNECTION]
    async with grpc.aio.insecure_channel(monitor.grpc, options=options) as channel:
        method: Any = channel.stream_stream("/headrace.monitor.v1.MonitorService/ReportTelemetry")
        try:
            answers = [answer async for answer in method(iter(messages))]
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return "OK" if len(answers) == len(messages) else "CUT"


async def measure(replicas: int, rounds: int) -> None:
    """Run all, and print what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            open_service("headrace_monitor", "--data", folder) as monitor,
            asyncio.timeout(120),
        ):
            await pinged(monitor, "health, idle", partial(asyncio.sleep, 4))
            reports = [
                [request(each, number).SerializeToString() for number in range(1, rounds + 1)]
                for each in range(replicas)
            ]

            async def busy() -> list[Any]:
                asking = [ask(monitor) for _ in range(rounds)]
                return await asyncio.gather(*(send(monitor, each) for each in reports), *asking)

            outcomes = await pinged(monitor, "health, under load", busy)
            print(f"reports: {sorted(set(outcomes[:replicas]))}")
            print(f"peak {peak_megabytes(monitor):.0f} MB")
            too_large = [send(monitor, [bytes(OVERSIZED_BYTES)]) for _ in range(20)]
            print(f"20 reports of 50 MB: {sorted(set(await asyncio.gather(*too_large)))}")
            print(f"peak {peak_megabytes(monitor):.0f} MB")


def _show(name: str, took: list[float]) -> None:
    milliseconds = sorted(each * 1e3 for each in took)
    p99 = milliseconds[int(len(milliseconds) * 0.99)]
    median = statistics.median(milliseconds)
    print(
        f"{name}: p50 {median:.1f} ms, p99 {p99:.1f} ms, longest {milliseconds[-1]:.1f} ms",
        flush=True,
    )


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ping", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ping:
        ping(given.ping)
        return
    asyncio.run(measure(given.replicas, given.rounds))


if __name__ == "__main__":
    main()
