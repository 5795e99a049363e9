"""Text is for those who may ask for it, and for no longer than they may, on either front."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace import status
from headrace.inference.v1 import generation_service_pb2 as pb
from headrace.inference.v1.generation_service_pb2_grpc import GenerationServiceStub
from headrace.security.policy import Grant
from tests.rpc.grpc_fixtures import FRONTS, failure_of
from tests.rpc.test_generation_service import scene
from tests.security.keyring import Keyring

fronts = pytest.mark.parametrize("front", FRONTS)


def keyring() -> Keyring:
    """A key of somebody who may call the model, and one of somebody who may call another."""
    return Keyring({"ours": (Grant("caller", ("m",)),), "theirs": (Grant("caller", ("other",)),)})


@fronts
async def test_whoever_may_not_call_a_model_gets_no_text_of_it(tmp_path: Path, front: str) -> None:
    """Not by any method, nor by an alias; nobody's calls are told to say who they are."""
    keys = keyring()
    async with (
        scene(tmp_path, front, access=keys.access) as site,
        grpc.aio.insecure_channel(site.replica.grpc_address) as channel,
    ):
        stub = GenerationServiceStub(channel)
        for model in ("m", "m@champion", "models/m/versions/1"):
            asked = pb.TokenizeRequest(model=model, text="a")
            theirs = await failure_of(stub.Tokenize(asked, metadata=keys.metadata("theirs")))
            assert theirs[:2] == ("PERMISSION_DENIED", "PERMISSION_DENIED"), model
            assert (await failure_of(stub.Tokenize(asked)))[0] == "UNAUTHENTICATED"
        asked = pb.TokenizeRequest(model="m", text="a")
        assert (await failure_of(stub.Tokenize(asked, metadata=keys.metadata("ours"))))[0] == "OK"
        generate = stub.Generate(
            pb.GenerateRequest(model="m", text="a"), metadata=keys.metadata("theirs")
        )
        assert (await failure_of(generate.read()))[0] == "PERMISSION_DENIED"
        assert not site.engine.load.running


@fronts
async def test_a_revoked_key_ends_what_it_has_generated(tmp_path: Path, front: str) -> None:
    """The next piece is refused, and the place is free."""
    keys = keyring()
    async with (
        scene(tmp_path, front, gated=True, access=keys.access) as site,
        grpc.aio.insecure_channel(site.replica.grpc_address) as channel,
    ):
        asked = pb.GenerateRequest(model="m", text="abc")
        call = GenerationServiceStub(channel).Generate(asked, metadata=keys.metadata("ours"))
        site.engine.step()
        first: Any = await call.read()
        keys.revoke("ours")
        site.engine.step()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        await site.until_idle()
        counted = site.counted()

    assert [chunk.text for chunk in first.chunks] == ["a"]
    assert status.error_from_rpc(caught.value).reason == "API_KEY_INVALID"
    assert counted == (0, {"API_KEY_INVALID": 1})
