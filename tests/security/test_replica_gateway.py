"""What a gateway tells of a caller's certificate is believed over its own sockets, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import grpc
import numpy as np
import pytest

from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from headrace.security.certificates import RuledCertificates
from headrace.security.identity_file import CertificateRules
from headrace.security.policy import Grant
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, failure_of, request
from tests.rpc.rest_fixtures import GOOD
from tests.security.asked_models import OURS, STATUSES, THEIRS, Headers, open_models, outcome
from tests.security.keyring import Keyring

OUR_URI, THEIR_URI = "spiffe://example.org/ours", "spiffe://example.org/theirs"
fronts = pytest.mark.parametrize("front", FRONTS)


def keyring() -> Keyring:
    """A certificate's subject for each model, and a key for ours."""
    grants = (Grant("caller", (OURS,)),)
    rules = CertificateRules(trust_domains=("example.org",))
    return Keyring(
        {OUR_URI: grants, THEIR_URI: (Grant("caller", (THEIRS,)),), "ours": grants},
        certificates=RuledCertificates(rules),
    )


def _forwarded(uri: str) -> Headers:
    return [("x-forwarded-client-cert", f'Hash=ab;Subject="CN=x";URI={uri}')]


async def _by_grpc(stub: Any, headers: Headers) -> str:
    message = request(OURS, np.ones(2, np.float32))
    return (await failure_of(stub.ModelInfer(message, metadata=list(headers))))[0]


async def _by_stream(stub: Any, headers: Headers) -> str:
    message = request(OURS, np.ones(2, np.float32))
    metadata = [*headers, ("triton_grpc_error", "true")]
    call = stub.ModelStreamInfer(iter([message]), metadata=metadata)
    return (await failure_of(call.read()))[0]


async def _by_rest(replica: GrpcReplica, headers: Headers) -> str:
    connector = aiohttp.UnixConnector(replica.http_address.removeprefix("unix:"))
    url = f"http://replica/v2/models/{OURS}/infer"
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(url, json=GOOD, headers=list(headers)) as response,
    ):
        return STATUSES[response.status]


@fronts
async def test_a_gateway_is_believed(tmp_path: Path, front: str) -> None:
    """Each caller of the one connection is who the gateway says; a key works there, too."""
    keys = keyring()
    sockets = tmp_path / "g"
    async with open_models(tmp_path, keys.access, front, gateway_folder=sockets) as replica:
        expected = [
            (_forwarded(OUR_URI), "OK"),
            (_forwarded(THEIR_URI), "PERMISSION_DENIED"),
            (_forwarded(OUR_URI), "OK"),
            (_forwarded("spiffe://elsewhere.org/ours"), "UNAUTHENTICATED"),
            ([], "UNAUTHENTICATED"),
            (keys.metadata("ours"), "OK"),
            ([*keys.metadata("ours"), *_forwarded(THEIR_URI)], "UNAUTHENTICATED"),
        ]
        async with grpc.aio.insecure_channel(replica.grpc_address) as channel:
            stub: Any = pb_grpc.GRPCInferenceServiceStub(channel)
            for headers, answer in expected:
                assert await _by_grpc(stub, headers) == answer
                assert await _by_stream(stub, headers) == answer
                assert await _by_rest(replica, headers) == answer


@fronts
async def test_nobody_else_is_believed(tmp_path: Path, front: str) -> None:
    """At a port a caller may say what he likes of his certificate."""
    keys = keyring()
    async with open_models(tmp_path, keys.access, front) as replica:
        for wire in ("unary", "stream", "rest"):
            found = await outcome(replica, wire, OURS, _forwarded(OUR_URI))
            assert found[:2] == ("UNAUTHENTICATED", "CREDENTIALS_MISSING")
