"""What do reports cost the monitor, and how long do replicas and people wait meanwhile?

    python -m benchmarks.monitor_reports [--seconds 10] [--load 100x10 ...]

A monitor in a process of its own. Replicas of another process send a report a second each, of so many
versions with 100 requests each in that second, and one asks for the last minute twice a second. Printed are
the processor time of the monitor for one version in one report, the share of a core, the peak of its
memory, and how long acknowledgements and answers took.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import numpy as np
from google.protobuf import duration_pb2, timestamp_pb2

from benchmarks.monitor import peak_megabytes
from benchmarks.processes import Service, open_service
from headrace.monitor.v1 import monitor_service_pb2 as pb
from headrace.monitor.v1 import monitor_service_pb2_grpc as pb_grpc
from headrace.monitor.v1 import telemetry_pb2
from headrace.telemetry import packed_histograms
from headrace.telemetry.histogram import Histogram

REQUESTS = 100
LOADS = ("1x1", "10x10", "100x10", "1000x1", "100x100")
QUESTION_SECONDS = 0.5
_ANSWER_OPTIONS = [("grpc.max_receive_message_length", -1)]


def histogram(seed: int) -> telemetry_pb2.Histogram:
    """The durations of a version's requests in a second."""
    counted = Histogram()
    counted.record(np.random.default_rng(seed).lognormal(14, 0.7, REQUESTS).astype(np.int64))
    buckets, counts = packed_histograms.pack(counted)
    return telemetry_pb2.Histogram(buckets=buckets, bucket_counts=counts, sum_ns=counted.sum_ns)


def versions_of(count: int) -> list[telemetry_pb2.VersionTelemetry]:
    """What versions did in a second."""
    return [
        telemetry_pb2.VersionTelemetry(
            model=f"model-{number}",
            version=1,
            success_count=REQUESTS,
            row_count=REQUESTS,
            execution_count=REQUESTS,
            route_counts={"stable": REQUESTS},
            batch_counts={1: REQUESTS},
            total=histogram(3 * number),
            queue=histogram(3 * number + 1),
            compute=histogram(3 * number + 2),
            measures=[telemetry_pb2.Measure(name="row_capacity", count=8 * REQUESTS)],
        )
        for number in range(count)
    ]


def now() -> timestamp_pb2.Timestamp:
    """The present."""
    present = timestamp_pb2.Timestamp()
    present.FromNanoseconds(time.time_ns())
    return present


class Replica:
    """Sends a report a second, and knows what each acknowledgement took."""

    def __init__(self, name: str, versions: Sequence[telemetry_pb2.VersionTelemetry]) -> None:
        self._name = name
        self._versions = telemetry_pb2.TelemetryReport(versions=versions).SerializeToString()
        self._sent: dict[int, float] = {}
        self.took: list[float] = []

    async def report(self, channel: grpc.aio.Channel, seconds: int) -> None:
        """Report for so long."""
        method: Any = channel.stream_stream(
            "/headrace.monitor.v1.MonitorService/ReportTelemetry",
            response_deserializer=pb.ReportTelemetryResponse.FromString,
        )
        async for answer in method(self._messages(seconds)):
            self.took.append(time.perf_counter() - self._sent.pop(answer.sequence))

    async def _messages(self, seconds: int) -> AsyncIterator[bytes]:
        await asyncio.sleep(random.random())
        due = time.perf_counter()
        for sequence in range(1, seconds + 1):
            head = telemetry_pb2.TelemetryReport(
                replica=self._name,
                boot_id="boot",
                sequence=sequence,
                start_time=now(),
                end_time=now(),
            )
            report = head.SerializeToString() + self._versions
            self._sent[sequence] = time.perf_counter()
            yield (
                _as_field(1, report)
                + pb.ReportTelemetryRequest(sent_time=now()).SerializeToString()
            )
            due += 1
            await asyncio.sleep(max(0.0, due - time.perf_counter()))


def _as_field(number: int, message: bytes) -> bytes:
    length, parts = len(message), bytearray((number << 3 | 2,))
    while length > 0x7F:
        parts.append(length & 0x7F | 0x80)
        length >>= 7
    parts.append(length)
    return bytes(parts) + message


async def ask(monitor: Service, took: list[float]) -> None:
    """Ask for the last minute, again and again, until cancelled."""
    query = pb.QueryStatisticsRequest(window=duration_pb2.Duration(seconds=60))
    async with grpc.aio.insecure_channel(monitor.grpc, options=_ANSWER_OPTIONS) as channel:
        stub: Any = pb_grpc.MonitorServiceStub(channel)
        while True:
            await asyncio.sleep(QUESTION_SECONDS)
            began = time.perf_counter()
            await stub.QueryStatistics(query)
            took.append(time.perf_counter() - began)


async def measure(load: str, seconds: int) -> str:
    """One line of the table."""
    replicas, versions = map(int, load.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        async with open_service("headrace_monitor", "--data", folder) as monitor:
            async with grpc.aio.insecure_channel(monitor.grpc) as channel:
                sending = [Replica(f"r{each}", versions_of(versions)) for each in range(replicas)]
                answers: list[float] = []
                asking = asyncio.ensure_future(ask(monitor, answers))
                began, cpu = time.perf_counter(), monitor.cpu_seconds()
                await asyncio.gather(*(each.report(channel, seconds) for each in sending))
                lasted = time.perf_counter() - began
                spent = monitor.cpu_seconds() - cpu
                asking.cancel()
            took = [each for replica in sending for each in replica.took]
            reported = len(took) * versions
            return (
                f"{load:>8} {reported / lasted:10.0f} {spent / reported * 1e6:8.0f} "
                f"{spent / lasted:6.2f} {peak_megabytes(monitor):8.0f} {_times(took)} {_times(answers)}"
            )


def _times(took: list[float]) -> str:
    ordered = sorted(took)
    p99 = ordered[int(len(ordered) * 0.99)]
    return f"{statistics.median(ordered) * 1e3:9.1f} {p99 * 1e3:8.1f}"


async def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--load", nargs="*", default=LOADS)
    given = parser.parse_args()
    print("replicas  versions       us             peak  ack p50      p99  answer p50   p99")
    print("  x vers.        /s  /version  cores       MB       ms       ms          ms    ms")
    for load in given.load:
        print(await measure(load, given.seconds), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
