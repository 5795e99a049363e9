"""Graphs that callers load with their own files, as a push would take them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headrace.inference import grpc_service_pb2 as pb
from tests.e2e.odd_graphs import ODD, classifier
from tests.rpc.test_inference_model_control import config, graph, load, opened


async def test_a_classifier_with_a_zip_map(tmp_path: Path) -> None:
    """The maps become a tensor, and their keys its labels."""
    files = graph(1, classifier(["red", "blue"]).SerializeToString())
    async with opened(tmp_path) as replica:
        await replica.stub.RepositoryModelLoad(load(text=config(), files=files))
        message = pb.ModelInferRequest(model_name="local")
        message.inputs.add(name="x", datatype="FP32", shape=[1, 2])
        message.raw_input_contents.append(np.array([[0, 9]], np.float32).tobytes())
        wanted = message.outputs.add(name="probabilities")
        wanted.parameters["classification"].int64_param = 1
        answer = await replica.stub.ModelInfer(message)
        metadata = await replica.stub.ModelMetadata(pb.ModelMetadataRequest(name="local"))
    assert answer.raw_output_contents[0].endswith(b":1:blue")
    assert [-1, 2] == list(metadata.outputs[1].shape)


@pytest.mark.parametrize("name", ["unsorted", "domain-not-imported", "sparse-weights", "function"])
async def test_odd_graphs(tmp_path: Path, name: str) -> None:
    """What the runtime runs is loaded."""
    files = graph(1, ODD[name].SerializeToString())
    async with opened(tmp_path) as replica:
        await replica.stub.RepositoryModelLoad(load(text=config(), files=files))
        message = pb.ModelInferRequest(model_name="local")
        message.inputs.add(name="x", datatype="FP32", shape=[1, 2])
        message.raw_input_contents.append(np.array([[1, 2]], np.float32).tobytes())
        answer = await replica.stub.ModelInfer(message)
    assert [1, 2] == list(answer.outputs[0].shape)
