"""gRPC clients over a list of addresses, `ipv4:A,B`, on both fronts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from headrace import AsyncClient
from headrace.datatypes import Datatype
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from tests.rpc.grpc_fixtures import failure_of, open_grpc_replica, request
from tests.rpc.rest_fixtures import echo

X = np.ones(3, np.float32)
MODEL = "echo-FP32"
ROUND_ROBIN = ("grpc.lb_policy_name", "round_robin")
AUTHORITY = ("grpc.default_authority", "headrace")


async def outcomes(folder: Path, front: Any, *options: tuple[str, str]) -> set[str]:
    """How calls over a list of two replicas end."""
    folders = folder / "one", folder / "two"
    for each in folders:
        each.mkdir()
    async with (
        open_grpc_replica(folders[0], echo(Datatype.FP32), front=front) as one,
        open_grpc_replica(folders[1], echo(Datatype.FP32), front=front) as two,
    ):
        target = f"ipv4:{one.grpc_address},{two.grpc_address}"
        async with grpc.aio.insecure_channel(target, options=[ROUND_ROBIN, *options]) as channel:
            infer = pb_grpc.GRPCInferenceServiceStub(channel).ModelInfer
            return {(await failure_of(infer(request(MODEL, X), timeout=10)))[0] for _ in range(4)}


@pytest.mark.parametrize("front", ["native", "grpcio"])
async def test_a_list_with_an_authority_of_its_own(tmp_path: Path, front: str) -> None:
    """Works on both, as docs/operate/scaling.md says."""
    assert {"OK"} == await outcomes(tmp_path, front, AUTHORITY)


async def test_a_list_as_authority_on_the_grpcio_front(tmp_path: Path) -> None:
    """gRPC's own server takes it."""
    assert {"OK"} == await outcomes(tmp_path, "grpcio")


async def test_a_list_as_authority_on_the_native_front_is_as_written_down(tmp_path: Path) -> None:
    """Where this fails, the package takes it: then the documentation is out of date."""
    assert {"INTERNAL"} == await outcomes(tmp_path, "native")


@pytest.mark.parametrize("front", ["native", "grpcio"])
async def test_our_client_takes_the_list_as_it_is(tmp_path: Path, front: Any) -> None:
    """In gRPC's spelling, too."""
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32), front=front) as replica:
        listed = f"ipv4:{replica.grpc_address},{replica.grpc_address}"
        async with AsyncClient(inference=listed) as client:
            answers = [await client.infer(MODEL, {"x": X}) for _ in range(4)]

    assert [MODEL] * 4 == [answer.model_name for answer in answers]
