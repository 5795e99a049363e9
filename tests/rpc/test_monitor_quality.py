"""Labels and quality over gRPC and REST, of a monitor that is restarted between."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace.monitor.v1 import quality_service_pb2 as pb
from headrace.monitor.v1 import quality_service_pb2_grpc, telemetry_pb2
from tests.rpc.monitors import (
    NOW,
    SECOND,
    FakeClock,
    RunningMonitor,
    report,
    running_monitor,
    seconds,
    timestamp,
)

HOUR = 3600 * SECOND


def prediction(number: int, label: str, **more: Any) -> telemetry_pb2.Prediction:
    """The answer to request `order-<number>`, as a replica tells it."""
    return telemetry_pb2.Prediction(
        model="digits",
        version=1,
        request_id=f"order-{number}",
        time=timestamp(NOW - HOUR),
        label=label,
        **more,
    )


def told(sequence: int, *predictions: telemetry_pb2.Prediction) -> telemetry_pb2.TelemetryReport:
    """A report with answers, of a replica that tells of all."""
    made: telemetry_pb2.TelemetryReport = report("a", sequence, end_ns=NOW)
    made.predictions.extend(predictions)
    made.prediction_share, made.dropped_predictions = 1.0, 3
    return made


def stub_of(monitor: RunningMonitor) -> Any:
    """What calls the service."""
    return quality_service_pb2_grpc.QualityServiceStub(monitor.channel)


def labels(*pairs: tuple[int, str], model: str = "digits") -> pb.RecordLabelsRequest:
    """A message of labels."""
    named = [pb.Label(id=f"order-{number}", label=label) for number, label in pairs]
    return pb.RecordLabelsRequest(model=model, labels=named)


async def record(monitor: RunningMonitor, *requests: pb.RecordLabelsRequest) -> Any:
    """Tell labels over a stream."""
    return await stub_of(monitor).RecordLabels(iter(requests))


async def post(monitor: RunningMonitor, body: object, model: str = "digits") -> tuple[int, Any]:
    """Tell labels over REST; text is sent as it is."""
    data = io.BytesIO((body if isinstance(body, str) else json.dumps(body)).encode())
    path, headers = f"/api/v1/models/{model}/labels", {"Content-Type": "application/json"}
    async with monitor.http.post(path, data=data, headers=headers) as response:
        return response.status, await response.json()


async def test_labels_join_answers_over_restarts_on_both_wires(tmp_path: Path) -> None:
    """A label before its answer, one after a restart, one again: each counts once, and figures follow."""
    clock = FakeClock()
    async with running_monitor(tmp_path, clock) as monitor:
        assert 1 == (await record(monitor, labels((1, "7")))).unknown
    async with running_monitor(tmp_path, clock) as monitor:
        answers = [prediction(number, "7", slices=["header tier=gold"]) for number in range(4)]
        await monitor.send([told(1, *answers)])
    async with running_monitor(tmp_path, clock) as monitor:
        answer = await record(
            monitor, labels((1, "7"), (2, "1")), labels((2, "1"), (99, "7"), model="")
        )
        assert (1, 2, 1) == (answer.joined, answer.duplicates, answer.unknown)
        status, counts = await post(
            monitor,
            {"labels": [{"id": "order-3", "label": 7, "time": "2023-11-14T22:13:20Z"}]},
        )
        assert (200, 1) == (status, counts["joined"])
        found = await stub_of(monitor).QueryQuality(
            pb.QueryQualityRequest(model="digits", slice="")
        )
        (quality,) = found.qualities
        assert (4, 3, 1.0, 3) == (
            quality.predictions,
            quality.labelled,
            found.sampled_share,
            found.dropped_predictions,
        )
        accuracy = next(each for each in quality.figures if each.name == "accuracy")
        assert pytest.approx(2 / 3) == accuracy.value
        assert 0 < accuracy.low < accuracy.value < accuracy.high < 1
        assert 3600 == quality.delay.seconds
        _, page = await monitor.get(
            "/api/v1/models/digits/quality?window=86400&step=3600&version=1"
        )
        assert ["", "header tier=gold"] == [each["slice"] for each in json.loads(page)["qualities"]]
        status, page = await monitor.get("/api/v1/models/digits/quality?window=soon")
        assert (400, "INVALID_QUERY") == (status, json.loads(page)["reason"])


WRONG_BODIES: tuple[tuple[str, object], ...] = (
    ("no JSON", "{labels"),
    ("no labels", {"labels": []}),
    ("an unknown field", {"labels": [{"id": "a", "label": "1", "colour": "red"}]}),
    ("no truth", {"labels": [{"id": "a"}]}),
    ("no id", {"labels": [{"id": "", "label": "1"}]}),
    ("a row below 0", {"labels": [{"id": "a", "label": "1", "row": -1}]}),
    ("a long id", {"labels": [{"id": "a" * 257, "label": "1"}]}),
    ("no time", {"labels": [{"id": "a", "label": "1", "time": -5}]}),
    ("too many", {"labels": [{"id": "a", "label": "1"}] * 10_001}),
)


async def test_wrong_labels_are_refused_whole(tmp_path: Path) -> None:
    """Each wrong body is refused with its reason, over REST as over gRPC, and takes nothing."""
    async with running_monitor(tmp_path) as monitor:
        for what, body in WRONG_BODIES:
            status, answer = await post(monitor, body)
            assert (400, "INVALID_LABELS") == (status, answer["reason"]), what
        status, answer = await post(monitor, "x" * (4 * 2**20 + 1))
        assert (400, "BODY_TOO_LARGE") == (status, answer["reason"])
        for requests in (
            [labels(model="")],
            [labels((1, "7")), labels((2, "7"), model="other")],
            [pb.RecordLabelsRequest(model="digits", labels=[pb.Label(id="a", value=float("nan"))])],
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await record(monitor, *requests)
            assert grpc.StatusCode.INVALID_ARGUMENT is refused.value.code()


async def test_windows_that_cannot_be_answered_are_refused(tmp_path: Path) -> None:
    """Longer than anything is kept, cut into too many steps, or negative."""
    async with running_monitor(tmp_path) as monitor:
        for fields in (
            {"window": seconds(0)},
            {"window": seconds(500 * 86400)},
            {"window": seconds(86400), "step": seconds(60)},
            {"window": seconds(30 * 86400), "step": seconds(600)},
            {"version": -1},
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub_of(monitor).QueryQuality(pb.QueryQualityRequest(**fields))
            assert grpc.StatusCode.INVALID_ARGUMENT is refused.value.code()


async def test_wrong_answers_in_a_report_are_named(tmp_path: Path) -> None:
    """A replica never sends one; whoever does is told which field of which is wrong."""
    async with running_monitor(tmp_path) as monitor:
        wrong = prediction(1, "7", confidence=1.5)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await monitor.send([told(1, prediction(0, "7"), wrong)])
        assert "predictions[1].confidence" in str(refused.value.details())
        assert [1] == await monitor.send([told(1, prediction(0, "7"))])


@pytest.mark.parametrize("late", [2**62, 253_402_300_799, 2**63 // 10**9 + 1])
async def test_times_that_no_file_holds_are_refused_and_end_nothing(
    tmp_path: Path, late: int
) -> None:
    """Of labels and of answers; who asks and tells next is answered, also after a restart."""
    clock = FakeClock()
    async with running_monitor(tmp_path, clock) as monitor:
        wrong = labels((1, "7"))
        wrong.labels[0].time.seconds = late
        with pytest.raises(grpc.aio.AioRpcError, match="before 2262"):
            await record(monitor, wrong)
        for time in (late * 1.0, 1e308, -1e308):
            body = {"labels": [{"id": "a", "label": "7", "time": time}]}
            assert 400 == (await post(monitor, body))[0]
        answer = prediction(1, "7")
        answer.time.seconds = late
        with pytest.raises(grpc.aio.AioRpcError, match="before 2262"):
            await monitor.send([told(1, answer)])
    async with running_monitor(tmp_path, clock) as monitor:
        await monitor.send([told(1, prediction(1, "7"))])
        assert 1 == (await record(monitor, labels((1, "7")))).joined


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 400),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 400),
        ({"Content-Type": "application/json", "Origin": "https://elsewhere.example"}, 403),
        ({"Content-Type": "application/json", "Origin": "null"}, 403),
        ({"Content-Type": "application/json", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ],
)
async def test_no_page_of_another_site_tells_labels(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    """A browser that logged in brings its session along, whoever wrote the page."""
    async with running_monitor(tmp_path) as monitor:
        body = json.dumps({"labels": [{"id": "order-1", "label": "7"}]})
        path = "/api/v1/models/digits/labels"
        async with monitor.http.post(path, data=body, headers=headers) as response:
            assert status == response.status
