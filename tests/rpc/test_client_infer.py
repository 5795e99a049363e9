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
        self.headers: dict[str, str | bytes] = {}
        self.refuse = False
        self.version = "2"
        self.inputs: dict[str, tuple[str, list[int]]] = {
            "x": ("FP16", [-1, 2]),
            "text": ("BYTES", [-1]),
        }

    async def ModelMetadata(
        self, request: Any, context: Any
    ) -> grpc_service_pb2.ModelMetadataResponse:
        self.metadata_calls += 1
        response = grpc_service_pb2.ModelMetadataResponse(name=request.name, versions=["2"])
        for name, (datatype, shape) in self.inputs.items():
            response.inputs.add(name=name, datatype=datatype, shape=shape)
        return response

    async def ModelInfer(self, request: Any, context: Any) -> grpc_service_pb2.ModelInferResponse:
        if self.refuse:
            self.refuse = False
            raise errors.InvalidArgument("DATATYPE_MISMATCH", "no")
        response = grpc_service_pb2.ModelInferResponse(
            model_name=request.model_name,
            model_version=request.model_version or self.version,
            id=request.id,
            raw_output_contents=request.raw_input_contents,
        )
        for tensor in request.inputs:
            response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        response.parameters["headrace.route"].string_param = "stable"
        self.headers = dict(context.invocation_metadata())
        return response

    async def ServerReady(self, request: Any, context: Any) -> grpc_service_pb2.ServerReadyResponse:
        return grpc_service_pb2.ServerReadyResponse(ready=True)

    async def RepositoryIndex(
        self, request: Any, context: Any
    ) -> grpc_service_pb2.RepositoryIndexResponse:
        response = grpc_service_pb2.RepositoryIndexResponse()
        response.models.add(name="m", version="1", state="UNAVAILABLE", reason="no operator")
        return response


async def test_arrays_of_float32_go_and_come_without_a_question() -> None:
    """They need no metadata; the answer names the version and why it answered."""
    echo = Echo()
    sent = {"x": np.ones((2, 3), dtype=np.float32), "y": np.zeros(1, dtype=np.float32)}
    async with open_client(echo) as client:
        result = await client.infer("digits@champion", sent, version=7, request_id="r1")

    assert ("digits@champion", "7", "r1") == (result.model_name, result.model_version, result.id)
    assert "stable" == result.route
    assert all(np.array_equal(sent[name], result[name]) for name in sent)
    assert (0, ()) == (echo.metadata_calls, result.notes)


async def test_headers_go_with_a_request() -> None:
    """For routes that look at them."""
    echo = Echo()
    async with open_client(echo) as client:
        await client.infer("m", {"x": np.ones(2, np.float32)}, headers={"X-User": "ada"})

    assert "ada" == echo.headers["x-user"]


async def test_lists_take_the_datatypes_of_the_signature_which_is_asked_for_once() -> None:
    """Lists of numbers and of text become what the model's metadata says."""
    echo = Echo()
    async with open_client(echo) as client:
        for _ in range(2):
            result = await client.infer("m", {"x": [[1, 2]], "text": ["a"]})

    assert result["x"].dtype == np.float16
    assert [b"a"] == result.outputs["text"].tolist()
    assert echo.metadata_calls == 1


async def test_bytes_that_are_no_text_stay_bytes() -> None:
    """One element that is not UTF-8 leaves the whole output as it came: str and bytes are never mixed."""
    in_utf8: list[str | bytes] = ["a", b"\xc3\x9f"]
    in_latin1: list[str | bytes] = ["a", b"\xff"]
    async with open_client(Echo()) as client:
        text = await client.infer("m", {"text": in_utf8})
        data = await client.infer("m", {"text": in_latin1})

    assert (["a", "ß"], [b"a", b"\xff"]) == (text["text"].tolist(), data["text"].tolist())


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


async def test_each_version_that_answers_first_is_asked_about() -> None:
    """Two versions that answer by turns, as in a canary's trial, cost one question more, not one each."""
    echo = Echo()
    async with open_client(echo) as client:
        for version in "1121221312":
            echo.version = version
            await client.infer("m", {"x": [[1, 2]]})

    assert 3 == echo.metadata_calls


async def test_an_unknown_input_is_named_with_those_there_are() -> None:
    """A list for an input that the model has not is refused before it is sent."""
    echo = Echo()
    async with open_client(echo) as client:
        with pytest.raises(errors.InvalidArgument, match="its inputs are x, text"):
            await client.infer("m", {"y": [1]})
        echo.inputs = {"y": ("INT64", [-1])}  # the route has moved on
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
