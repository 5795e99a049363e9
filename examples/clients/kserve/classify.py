"""Classify a digit with KServe's own clients, over gRPC and over REST.

python classify.py [GRPC_HOST:PORT] [http://HTTP_HOST:PORT] [MODEL[@ALIAS]]
"""

from __future__ import annotations

import asyncio
import sys

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import InferResponse

DEADLINE_SECONDS = 5.0

TWO = np.array(
    [
        [0, 0, 7, 16, 14, 3, 0, 0],
        [0, 0, 9, 14, 11, 15, 0, 0],
        [0, 0, 1, 5, 0, 15, 5, 0],
        [0, 0, 0, 0, 0, 16, 5, 0],
        [0, 0, 0, 0, 3, 16, 4, 0],
        [0, 0, 0, 1, 12, 14, 1, 0],
        [0, 0, 5, 12, 16, 16, 14, 1],
        [0, 0, 8, 16, 14, 10, 13, 3],
    ],
    np.float32,
)
"""A handwritten two, 8 x 8 pixels from 0 (background) to 16, that examples/digits holds back."""


def request_for(model: str, *, binary: bool) -> InferRequest:
    """One image as a request, as raw bytes or as a list of numbers."""
    image = InferInput("image", [1, *TWO.shape], "FP32")
    image.set_data_from_numpy(TWO[np.newaxis], binary_data=binary)
    return InferRequest(model_name=model, infer_inputs=[image])


def show(wire: str, answer: InferResponse) -> None:
    """Print the digit with its probability, and which version said so and why it was chosen."""
    outputs = {output.name: output.as_numpy() for output in answer.outputs}
    (label,) = outputs["label"]
    probability = 100 * outputs["probabilities"].flat[label]
    route = answer.parameters["headrace.route"]
    route = getattr(route, "string_param", route)
    print(f"{wire}: digit {label} ({probability:.1f} %)")
    version = answer.model_version or "not told"  # KServe's REST client drops what the server says
    print(f"{wire}: {answer.model_name} version {version} ({route})")


async def over_grpc(address: str, model: str) -> None:
    """Ask over gRPC."""
    async with InferenceGRPCClient(address, timeout=DEADLINE_SECONDS) as client:
        ready = await client.is_server_ready() and await client.is_model_ready(model)
        print("grpc:", "ready" if ready else "not ready")
        show("grpc", await client.infer(request_for(model, binary=True)))


async def over_rest(url: str, model: str) -> None:
    """Ask over REST, with binary data and with JSON alone."""
    config = RESTConfig(protocol="v2", timeout=DEADLINE_SECONDS)
    async with InferenceRESTClient(config) as client:
        ready = await client.is_server_live(url) and await client.is_server_ready(url)
        ready = ready and await client.is_model_ready(url, model)
        print("rest:", "ready" if ready else "not ready")
        for binary in (True, False):
            request = request_for(model, binary=binary)
            show("rest", await client.infer(url, request, model_name=model))


async def main() -> int:
    """Ask both ways; the exit status."""
    defaults = ["127.0.0.1:8001", "http://127.0.0.1:8000", "digits"]
    address, url, model = [*sys.argv[1:], *defaults[len(sys.argv) - 1 :]]
    try:
        await over_grpc(address, model)
        await over_rest(url, model)
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}", file=sys.stderr)
        return 1
    except httpx.HTTPStatusError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
