"""Regions of shared memory are no way to what other callers send and get."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import pytest

from headrace.inference import grpc_service_pb2 as pb
from headrace.security.policy import Grant
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, request
from tests.security.asked_models import OURS, open_models
from tests.security.keyring import Keyring

fronts = pytest.mark.parametrize("front", FRONTS)

NAME, BYTES = "theirs", 8
DENIED, OK = ("PERMISSION_DENIED", "PERMISSION_DENIED"), ("OK", "")


@contextmanager
def memory() -> Iterator[SharedMemory]:
    """Memory with two numbers of somebody in it."""
    shared = SharedMemory(create=True, size=BYTES)
    _view(shared)[:] = [42, 7]
    try:
        yield shared
    finally:
        shared.close()
        shared.unlink()


def _view(shared: SharedMemory) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    assert shared.buf is not None
    return np.frombuffer(shared.buf, np.float32, BYTES // 4)


def reading(region: str) -> pb.ModelInferRequest:
    """A request whose input is in a region."""
    message: pb.ModelInferRequest = request(OURS, np.ones(2, np.float32))
    del message.raw_input_contents[:]
    _place(message.inputs[0], region)
    return message


def writing(region: str) -> pb.ModelInferRequest:
    """A request whose output is to go to a region."""
    message: pb.ModelInferRequest = request(OURS, np.zeros(2, np.float32))
    _place(message.outputs.add(name="y"), region)
    return message


def _place(
    tensor: pb.ModelInferRequest.InferInputTensor | pb.ModelInferRequest.InferRequestedOutputTensor,
    region: str,
) -> None:
    tensor.parameters["shared_memory_region"].string_param = region
    tensor.parameters["shared_memory_byte_size"].int64_param = BYTES


async def outcome(
    replica: GrpcReplica, message: pb.ModelInferRequest, keys: Keyring, who: str
) -> tuple[str, str]:
    """The status and reason that a request is answered with."""
    call = replica.stub.ModelInfer(message, metadata=keys.metadata(who))
    return (await failure_of(call))[:2]


@fronts
async def test_a_region_is_for_who_may_register_it(tmp_path: Path, front: str) -> None:
    """Who may only run a model reads and writes none, nor learns which there are."""
    keys = Keyring({"root": (Grant("admin"),), "web": (Grant("caller", (OURS,)),)})
    async with open_models(
        tmp_path, keys.access, front, allow_client_shared_memory=True
    ) as replica:
        with memory() as shared:
            region = pb.SystemSharedMemoryRegisterRequest(
                name=NAME, key=f"/{shared.name}", byte_size=BYTES
            )
            await replica.stub.SystemSharedMemoryRegister(region, metadata=keys.metadata("root"))
            for _ in range(3):  # what one was let do is remembered for him alone
                for message in (reading(NAME), writing(NAME), reading("none"), writing("none")):
                    assert await outcome(replica, message, keys, "web") == DENIED
                assert _view(shared).tolist() == [42, 7]
                assert await outcome(replica, reading(NAME), keys, "root") == OK
            assert await outcome(replica, writing(NAME), keys, "root") == OK
            assert _view(shared).tolist() == [0, 0]
            assert await outcome(replica, writing(NAME), keys, "web") == DENIED
