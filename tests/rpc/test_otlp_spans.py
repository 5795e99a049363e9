"""Spans of calls: one trace from the caller to the run in ONNX Runtime, on every way in."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np
import pytest

from headrace import AsyncClient, errors
from headrace.datatypes import Datatype
from headrace_monitor.settings import Settings as MonitorSettings
from tests.rpc.grpc_fixtures import FRONTS, failure_of, open_grpc_replica, request
from tests.rpc.monitors import running_monitor
from tests.rpc.otlp_collector import attributes_of, running_collector
from tests.rpc.rest_fixtures import echo

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)
NOT_SAMPLED = (("traceparent", f"00-{TRACE}-{PARENT}-00"),)
ROW = np.array([1], np.float32)


@pytest.mark.parametrize("front", FRONTS)
async def test_a_trace_goes_on_from_the_caller_to_the_run(tmp_path: Path, front: str) -> None:
    with running_collector() as collector:
        options: dict[str, Any] = {"otlp_endpoint": collector.address, "otlp_trace_share": 0.0}
        async with open_grpc_replica(
            tmp_path, echo(Datatype.FP32), front=front, **options
        ) as replica:
            infer = replica.stub.ModelInfer
            await infer(request("echo-FP32", ROW, request_id="untraced"))
            await infer(request("echo-FP32", ROW, request_id="no"), metadata=NOT_SAMPLED)
            await infer(request("echo-FP32", ROW, request_id="yes"), metadata=SAMPLED)
            spans = await collector.when(lambda spans: len(spans) >= 4)
            await _over_rest(replica.http_address)
            spans = await collector.when(lambda spans: len(spans) >= 8)
    first = {span.name: span for span in spans[:4]}
    assert set(first) == {"infer echo-FP32", "queue", "batch", "run"}
    assert {span.trace_id.hex() for span in spans} == {TRACE}
    whole, queue, batch, run = (
        first[name] for name in ("infer echo-FP32", "queue", "batch", "run")
    )
    assert whole.parent_span_id.hex() == PARENT
    assert queue.parent_span_id == batch.parent_span_id == whole.span_id
    assert run.parent_span_id == batch.span_id
    told = attributes_of(whole)
    assert (told["headrace.model"], told["headrace.version"]) == ("echo-FP32", "1")
    assert (told["headrace.route"], told["headrace.request_id"]) == ("stable", "yes")
    assert whole.start_time_unix_nano <= queue.start_time_unix_nano
    assert queue.end_time_unix_nano <= batch.end_time_unix_nano
    assert batch.start_time_unix_nano <= run.start_time_unix_nano <= run.end_time_unix_nano
    assert len(spans) == 8, "nothing of the other two"
    assert collector.services == {"headrace-inference"}


async def _over_rest(address: str) -> None:
    body = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1]}]}
    url = f"http://{address}/v2/models/echo-FP32/infer"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=body, headers={"Traceparent": SAMPLED[0][1]}) as response,
    ):
        assert response.status == 200, await response.text()


async def test_a_share_of_calls_begins_traces_and_a_silent_collector_costs_no_request(
    tmp_path: Path,
) -> None:
    options: dict[str, Any] = {"otlp_endpoint": "http://127.0.0.1:1", "otlp_trace_share": 1.0}
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32), **options) as replica:
        answers = await asyncio.gather(
            *(replica.stub.ModelInfer(request("echo-FP32", ROW)) for _ in range(20))
        )
    assert len(answers) == 20
    with running_collector() as collector:
        options = {"otlp_endpoint": collector.address, "otlp_trace_share": 1.0}
        async with open_grpc_replica(tmp_path, echo(Datatype.FP32), **options) as replica:
            for _ in range(3):
                await replica.stub.ModelInfer(request("echo-FP32", ROW))
            spans = await collector.when(lambda spans: len(spans) >= 12)
    begun = [span for span in spans if span.name == "infer echo-FP32"]
    assert len({span.trace_id for span in begun}) == 3
    assert {span.parent_span_id for span in begun} == {b""}


async def test_calls_of_services_have_spans_with_their_errors(tmp_path: Path) -> None:
    """Unary calls go on with the trace of the program that calls, streams only if it says so."""
    from opentelemetry.sdk.trace import TracerProvider

    own = TracerProvider().get_tracer("a program")
    with running_collector() as collector:
        settings: dict[str, Any] = {"otlp_endpoint": collector.address, "otlp_trace_share": 0.0}
        async with running_monitor(tmp_path, **settings) as monitor:
            async with AsyncClient(monitor=monitor.address) as client:
                with own.start_as_current_span("their work") as work:
                    await client.statistics()
                    with pytest.raises(errors.InvalidArgument):
                        await client.statistics(window_seconds=10**9)
                await client.statistics()
            spans = await collector.when(lambda spans: len(spans) >= 2)
    context = work.get_span_context()
    assert {span.name for span in spans} == {"headrace.monitor.v1.MonitorService/QueryStatistics"}
    assert {span.trace_id.hex() for span in spans} == {f"{context.trace_id:032x}"}
    assert {span.parent_span_id.hex() for span in spans} == {f"{context.span_id:016x}"}
    codes = [attributes_of(span).get("error.type", "") for span in spans]
    assert sorted(codes) == ["", "INVALID_QUERY"]
    assert len(spans) == 2


async def test_without_the_packages_the_setting_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace.export", None)
    with pytest.raises(errors.FailedPrecondition) as refused:
        async with running_monitor(tmp_path, otlp_endpoint="http://127.0.0.1:1"):
            pass
    assert refused.value.reason == "OTEL_EXTRA_MISSING"
    assert "headrace[otel]" in refused.value.message


def test_wrong_settings_are_refused_by_name() -> None:
    for wrong, named in (
        ({"otlp_endpoint": "collector:4317"}, "--otlp-endpoint"),
        ({"otlp_trace_share": 2.0}, "--otlp-trace-share"),
    ):
        with pytest.raises(ValueError, match=named):
            MonitorSettings(data=Path(), **wrong)


async def test_a_collector_is_asked_for_over_grpc_only_when_there_is_one(tmp_path: Path) -> None:
    """Without the setting no call is traced, whatever it says."""
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32)) as replica:
        assert not replica.ingress.tracer.on
        found = await failure_of(
            replica.stub.ModelInfer(request("echo-FP32", ROW), metadata=SAMPLED)
        )
    assert found[0] == grpc.StatusCode.OK.name
