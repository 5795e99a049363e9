"""A monitor that is killed once it has answered has every answer and label, once."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace.monitor.v1 import (
    monitor_service_pb2,
    monitor_service_pb2_grpc,
    quality_service_pb2_grpc,
)
from headrace.monitor.v1 import quality_service_pb2 as pb
from tests.rpc.monitors import report

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]

ANSWERS, LABELS = 500, 400


@asynccontextmanager
async def killed_at_the_end(data: Path) -> AsyncIterator[grpc.aio.Channel]:
    """A monitor over a folder, as a process; it gets SIGKILL."""
    reading, writing = os.pipe()
    flags = ("--data", str(data), "--grpc-port", "0", "--http-port", "0")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "headrace_monitor", *flags, "--ready-fd", str(writing)),
        pass_fds=[writing],
        stderr=asyncio.subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as ready:
            line = await asyncio.to_thread(ready.readline)
        async with grpc.aio.insecure_channel(json.loads(line)["grpc"]) as channel:
            yield channel
    finally:
        process.kill()
        await process.wait()


async def test_labels_survive_kill(tmp_path: Path) -> None:
    """Three kills, each right after the acknowledgement."""
    now_ns = time.time_ns()
    for number in range(3):
        async with killed_at_the_end(tmp_path) as channel:
            quality: Any = quality_service_pb2_grpc.QualityServiceStub(channel)
            monitor: Any = monitor_service_pb2_grpc.MonitorServiceStub(channel)
            found = await quality.QueryQuality(pb.QueryQualityRequest(model="d", slice=""))
            counted = [(each.predictions, each.labelled) for each in found.qualities]
            assert ([(ANSWERS * number, LABELS * number)] if number else []) == counted
            sent = report("a", 1, end_ns=now_ns, boot_id=f"boot-{number}")
            for place in range(ANSWERS):
                answer = sent.predictions.add(
                    model="d", version=1, request_id=f"{number}-{place}", label="y"
                )
                answer.time.FromNanoseconds(now_ns)
            sent.prediction_share = 1.0
            requests = [monitor_service_pb2.ReportTelemetryRequest(report=sent)]
            assert [1] == [each.sequence async for each in monitor.ReportTelemetry(iter(requests))]
            labels = [pb.Label(id=f"{number}-{place}", label="y") for place in range(LABELS)]
            told = await quality.RecordLabels(
                iter([pb.RecordLabelsRequest(model="d", labels=labels)])
            )
            assert LABELS == told.joined
