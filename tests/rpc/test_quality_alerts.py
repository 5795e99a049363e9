"""Answers that became worse: labels tell it, Prometheus shows it, and the shipped rule fires."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from headrace.monitor.v1 import alert_service_pb2, quality_service_pb2_grpc, telemetry_pb2
from headrace.monitor.v1 import quality_service_pb2 as pb
from tests.rpc.alerting import Scene, alerting
from tests.rpc.monitors import SECOND, report, timestamp

DAY = 86_400 * SECOND


async def answer_and_label(
    scene: Scene, sequence: int, right: int, wrong: int, *, later_ns: int = 0
) -> None:
    """So many answers of this moment, and their truth, which comes later."""
    ids = [f"{sequence}-{number}" for number in range(right + wrong)]
    sent = report("a", sequence, end_ns=scene.clock.now_ns())
    sent.predictions.extend(
        telemetry_pb2.Prediction(
            model="digits",
            version=1,
            request_id=each,
            time=timestamp(scene.clock.now_ns()),
            label="yes",
        )
        for each in ids
    )
    sent.prediction_share = 1.0
    await scene.monitor.send([sent])
    scene.clock.pass_by(later_ns)
    labels = [
        pb.Label(id=each, label="yes" if place < right else "no") for place, each in enumerate(ids)
    ]
    stub: Any = quality_service_pb2_grpc.QualityServiceStub(scene.monitor.channel)
    await stub.RecordLabels(iter([pb.RecordLabelsRequest(model="digits", labels=labels)]))


@pytest.mark.parametrize("later_ns", [0, 3 * DAY])
async def test_answers_that_became_worse_raise_the_shipped_alert(
    tmp_path: Path, later_ns: int
) -> None:
    """Right in 95 of 100 before and in 70 now, surely 5 points less; labels come at once or late."""
    async with alerting(tmp_path) as scene:
        await answer_and_label(scene, 1, 380, 20)
        scene.clock.pass_by(8 * DAY)
        await answer_and_label(scene, 2, 280, 120, later_ns=later_ns)
        gauge = 'headrace_quality_accuracy{model="digits",version="1"} 0.7\n'
        async with asyncio.timeout(10):
            while gauge not in (await scene.monitor.get("/metrics"))[1]:  # noqa: ASYNC110 (nothing tells)
                await asyncio.sleep(0.05)
        await scene.evaluated()
        (found,) = (
            alert
            for alert in (
                await scene.alerts.ListAlerts(alert_service_pb2.ListAlertsRequest())
            ).alerts
            if alert.rule == "quality-drop"
        )
        assert ("digits", 1) == (found.model, found.version)
        assert "accuracy is 0.700" in str(found)
        _, page = await scene.monitor.get("/metrics")
        assert "headrace_quality_labels_joined_total 800.0" in page
        assert 'headrace_quality_label_coverage{model="digits",version="1"} 1.0' in page
