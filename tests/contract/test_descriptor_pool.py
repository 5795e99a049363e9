"""Checks that headrace and tritonclient can be used together in one process."""

from __future__ import annotations

import subprocess
import sys
from concurrent import futures
from pathlib import Path

import grpc
import pytest
import tritonclient.grpc
from google.protobuf import json_format, text_format

from headrace.inference import grpc_service_pb2, grpc_service_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]

EXCHANGE = """
from headrace.inference import grpc_service_pb2 as ours
from tritonclient.grpc import service_pb2 as theirs

request = ours.ModelInferRequest(model_name="digits", raw_input_contents=[b"1234"])
request.parameters["priority"].uint64_param = 2
request.inputs.add(name="x", datatype="FP32", shape=[1])
copy = theirs.ModelInferRequest.FromString(request.SerializeToString())
assert copy.parameters["priority"].uint64_param == 2
assert request == ours.ModelInferRequest.FromString(copy.SerializeToString())
assert ours.ModelConfigResponse.DESCRIPTOR.file.pool is not theirs.DESCRIPTOR.pool
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import headrace.inference.grpc_service_pb2, tritonclient.grpc",
        "import tritonclient.grpc, headrace.inference.grpc_service_pb2",
    ],
)
def test_both_can_be_imported_in_either_order(imports: str) -> None:
    """A process imports both, and each side's messages travel to the other."""
    command = [sys.executable, "-c", imports + EXCHANGE]

    subprocess.run(command, cwd=ROOT, check=True)


@pytest.mark.parametrize(
    "module", ["grpc_service_pb2", "grpc_service_pb2_grpc", "model_config_pb2"]
)
def test_generated_modules_import_without_warnings(module: str) -> None:
    """A generated module imports alone, with every warning an error."""
    command = [sys.executable, "-W", "error", "-c", f"import headrace.inference.{module}"]

    subprocess.run(command, cwd=ROOT, check=True)


def test_messages_of_the_private_pool_convert_to_text_and_json() -> None:
    """Maps, oneofs and nested messages survive text and JSON."""
    response = grpc_service_pb2.ModelInferResponse(model_name="digits", model_version="3")
    response.parameters["headrace.route"].string_param = "stable"
    response.outputs.add(name="label", datatype="INT64", shape=[1]).contents.int64_contents.append(
        7
    )

    text = text_format.MessageToString(response)
    json = json_format.MessageToJson(response)

    assert response == text_format.Parse(text, grpc_service_pb2.ModelInferResponse())
    assert response == json_format.Parse(json, grpc_service_pb2.ModelInferResponse())


class Echo(grpc_service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers with what the request says."""

    def ModelReady(
        self,
        request: grpc_service_pb2.ModelReadyRequest,
        context: grpc.ServicerContext,
    ) -> grpc_service_pb2.ModelReadyResponse:
        return grpc_service_pb2.ModelReadyResponse(ready=request.name == "digits")


def test_tritonclient_calls_a_servicer_of_the_private_pool() -> None:
    """A server of our generated code answers tritonclient in the same process."""
    expected = [True, False]

    with futures.ThreadPoolExecutor() as threads:
        server = grpc.server(threads)
        grpc_service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Echo(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{port}") as client:
            ready = [client.is_model_ready("digits"), client.is_model_ready("other")]
        server.stop(grace=None).wait()

    assert expected == ready
