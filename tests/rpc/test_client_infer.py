"""Inference through the client, against a server that answers with what it got."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace import errors
from headrace.inference import grpc_service_pb2, grpc_service_pb2_grpc
from tests.rpc.client_fixtures import open_client


class Echo(grpc_service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers ModelInfer with its inputs, as version 2; can refuse once."""

    def __init__(self) -> None:
        self.metadata_calls = 0
        self.refuse = False

    async def ModelMetadata(
        self, request: Any, context: Any
    ) -> grpc_service_pb2.ModelMetadataResponse:
        self.metadata_calls += 1
        response = grpc_service_pb2.ModelMetadataResponse(name=request.name, versions=["2"])
        response.inputs.add(name="x", datatype="FP16", shape=[-1, 2])
        response.inputs.add(name="text", datatype="BYTES", shape=[-1])
        return response

    async def ModelInfer(self, request: Any, context: Any) -> grpc_service_pb2.ModelInferResponse:
        if self.refuse:
            self.refuse = False
            raise errors.InvalidArgument("DATATYPE_MISMATCH", "no")
        response = grpc_service_pb2.ModelInferResponse(
            model_name=request.model_name,
            model_version=request.model_version or "2",
            id=request.id,
            raw_output_contents=request.raw_input_contents,
        )
        for tensor in request.inputs:
            response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        response.parameters["headrace.route"].string_param = "stable"
        return response

    async def ServerReady(self, request: Any, context: Any) -> grpc_service_pb2.ServerReadyResponse:
        return grpc_service_pb2.ServerReadyResponse(ready=True)

    async def RepositoryIndex(
        self, request: Any, context: Any
    ) -> grpc_service_pb2.RepositoryIndexResponse:
        response = grpc_service_pb2.RepositoryIndexResponse()
        response.models.add(name="m", version="1", state="UNAVAILABLE", reason="no operator")
        return response


async def test_arrays_go_and_come_as_they_are() -> None:
    """Arrays need no metadata; the answer names the version and why it answered."""
    echo = Echo()
    sent = {"x": np.ones((2, 3), dtype=np.float64), "b": np.array([True])}
    async with open_client(echo) as client:
        result = await client.infer("digits@champion", sent, version=7, request_id="r1")

    assert ("digits@champion", "7", "r1") == (result.model_name, result.model_version, result.id)
    assert result.route == "stable"
    assert all(np.array_equal(sent[name], result.outputs[name]) for name in sent)
    assert echo.metadata_calls == 0


async def test_lists_take_the_datatypes_of_the_signature_which_is_asked_for_once() -> None:
    """Lists of numbers and of text become what the model's metadata says."""
    echo = Echo()
    async with open_client(echo) as client:
        for _ in range(2):
            result = await client.infer("m", {"x": [[1, 2]], "text": ["a"]})

    assert result.outputs["x"].dtype == np.float16
    assert [b"a"] == result.outputs["text"].tolist()
    assert echo.metadata_calls == 1


async def test_a_refused_request_forgets_the_signature() -> None:
    """After INVALID_ARGUMENT the signature is asked for anew: the route may have moved on."""
    echo = Echo()
    async with open_client(echo) as client:
        await client.infer("m", {"x": [[1, 2]]})
        echo.refuse = True
        with pytest.raises(errors.InvalidArgument):
            await client.infer("m", {"x": [[1, 2]]})
        await client.infer("m", {"x": [[1, 2]]})

    assert echo.metadata_calls == 2


async def test_an_unknown_input_is_named_with_those_there_are() -> None:
    """A list for an input that the model has not is refused before it is sent."""
    async with open_client(Echo()) as client:
        with pytest.raises(errors.InvalidArgument, match="its inputs are x, text"):
            await client.infer("m", {"y": [1]})


async def test_what_the_replica_says_of_itself() -> None:
    """Readiness and the index come back as values."""
    async with open_client(Echo()) as client:
        ready = await client.server_ready()
        (entry,) = await client.repository_index()

    assert ready
    assert ("m", "1", "UNAVAILABLE", "no operator") == (
        entry.name,
        entry.version,
        entry.state,
        entry.reason,
    )
