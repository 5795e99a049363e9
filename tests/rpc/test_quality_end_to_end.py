"""From answered requests over labels to figures: a real replica, a real monitor, both fronts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from headrace.inference import grpc_service_pb2, grpc_service_pb2_grpc
from headrace.monitor.v1 import quality_service_pb2 as pb
from headrace.monitor.v1 import quality_service_pb2_grpc
from headrace.telemetry.sampled_ids import is_sampled
from headrace_monitor.app.monitor import Monitor, open_monitor
from headrace_monitor.settings import Settings as MonitorSettings
from tests.rpc.test_serve_folder import serving

ROWS = np.array([[2.0, 1.0], [0.0, 3.0], [1.5, 1.0]], np.float32)
"""Answered 0, 1 and 0."""


def classifier() -> bytes:
    """Of two columns the larger, as scikit-learn's classifiers answer: label and probabilities."""
    graph = helper.make_graph(
        [
            helper.make_node("ArgMax", ["x"], ["label"], axis=1, keepdims=0),
            helper.make_node("Softmax", ["x"], ["probabilities"], axis=1),
        ],
        "classifier",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["batch"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 2]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@asynccontextmanager
async def monitoring(data: Path, grpc_port: int = 0) -> AsyncIterator[Monitor]:
    """A monitor over a folder while inside."""
    stopping = asyncio.Event()
    settings = MonitorSettings(data=data, grpc_port=grpc_port, http_port=0)
    async with open_monitor(settings, stopping) as monitor:
        try:
            yield monitor
        finally:
            stopping.set()


async def infer_over_grpc(address: str, request_id: str, region: str) -> None:
    """Ask with three rows."""
    request = grpc_service_pb2.ModelInferRequest(model_name="choice", id=request_id)
    tensor = request.inputs.add(name="x", datatype="FP32", shape=[3, 2])
    tensor.contents.fp32_contents.extend(ROWS.ravel().tolist())
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = grpc_service_pb2_grpc.GRPCInferenceServiceStub(channel)
        await stub.ModelInfer(request, metadata=(("x-region", region),))


async def infer_over_rest(address: str, request_id: str) -> None:
    """The same over REST, without a region."""
    tensor = {"name": "x", "datatype": "FP32", "shape": [3, 2], "data": ROWS.tolist()}
    url = f"http://{address}/v2/models/choice/infer"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, json={"id": request_id, "inputs": [tensor]}) as response,
    ):
        assert 200 == response.status, await response.text()


async def qualities(monitor: Monitor) -> Sequence[Any]:
    """What is known of the model."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{monitor.grpc_port}") as channel:
        stub: Any = quality_service_pb2_grpc.QualityServiceStub(channel)
        answer = await stub.QueryQuality(pb.QueryQualityRequest(model="choice"))
        return list(answer.qualities)


async def tell(monitor: Monitor, ids: Sequence[str]) -> Any:
    """The truth: 0, 1 and 1."""
    labels = [
        pb.Label(id=each, row=row, label=truth)
        for each in ids
        for row, truth in enumerate(("0", "1", "1"))
    ]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{monitor.grpc_port}") as channel:
        stub: Any = quality_service_pb2_grpc.QualityServiceStub(channel)
        return await stub.RecordLabels(
            iter([pb.RecordLabelsRequest(model="choice", labels=labels)])
        )


@pytest.mark.parametrize("front", ["native", "grpcio"])
async def test_labels_of_answered_requests(tmp_path: Path, front: str) -> None:
    """Sampled requests of both wires are joined by their ids after a restart; others are known as such."""
    (tmp_path / "models" / "choice").mkdir(parents=True)
    (tmp_path / "models" / "choice" / "model.onnx").write_bytes(classifier())
    ids = [f"{front}-{number}" for number in range(12)]
    sampled = [each for each in ids if is_sampled(each, 0.5)]
    assert 2 <= len(sampled) <= 10
    async with (
        monitoring(tmp_path / "monitor") as monitor,
        serving(
            tmp_path / "models",
            tmp_path / "replica",
            monitor_address=f"127.0.0.1:{monitor.grpc_port}",
            front=front,
            label_share=0.5,
            prediction_rate=1000.0,
            slice_by=("header:x-region",),
            telemetry_seconds=0.05,
        ) as replica,
    ):
        for place, each in enumerate(ids):
            if place % 2:
                await infer_over_rest(replica.fronts.http_address, each)
            else:
                await infer_over_grpc(replica.fronts.grpc_address, each, "eu")

        async with asyncio.timeout(10):
            while 3 * len(sampled) not in [  # noqa: ASYNC110 (there is no event to wait for)
                one.predictions for one in await qualities(monitor)
            ]:
                await asyncio.sleep(0.02)
    async with monitoring(tmp_path / "monitor") as monitor:
        counts = await tell(monitor, [*ids, "never-seen"])
        expected = (3 * len(sampled), 3 * (len(ids) - len(sampled)))
        assert expected == (
            counts.joined,
            counts.not_sampled - 3 * (not is_sampled("never-seen", 0.5)),
        )
        found = {one.slice: one for one in await qualities(monitor)}
        of_all = {(each.name, each.of): each.value for each in found[""].figures}
        assert pytest.approx(2 / 3) == of_all["accuracy", ""]
        assert 1.0 == of_all["precision", "1"]
        assert 0.5 == of_all["recall", "1"]
        assert 1.0 == of_all["roc_auc", "1"]
        over_grpc = [each for each in ids[::2] if each in sampled]
        assert 3 * len(over_grpc) == found["header x-region=eu"].labelled
        assert abs(found[""].end_time.seconds - time.time()) < 1200
