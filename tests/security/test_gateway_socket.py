"""Certificates that a gateway tells of: believed over its own socket, and from nobody else."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace import status
from headrace.registry.v1 import access_service_pb2
from headrace.registry.v1.access_service_pb2_grpc import AccessServiceStub
from headrace.service.gateway_sockets import sockets_in
from tests.gateway.fixtures import Certificates
from tests.rpc.registry_fixtures import running_registry

ALICE = "spiffe://headrace/alice"
FORWARDED = (("x-forwarded-client-cert", f'Hash=00;Subject="CN=alice";URI={ALICE}'),)


async def caller(channel: grpc.aio.Channel) -> str:
    """Who the registry takes a caller for who shows a forwarded certificate, or its refusal."""
    async with channel:
        try:
            asked = access_service_pb2.GetCallerRequest()
            told = await AccessServiceStub(channel).GetCaller(asked, metadata=FORWARDED)
        except grpc.aio.AioRpcError as error:
            return status.error_from_rpc(error).reason
    return str(told.subject)


@pytest.mark.parametrize("client_auth", ["off", "optional"])
async def test_only_a_gateway_is_believed_what_it_forwards(
    redis_url: str, namespace: str, tmp_path: Path, client_auth: str
) -> None:
    """Over the port, in plaintext or TLS, the same header means nothing."""
    rules = tmp_path / "identity.toml"
    rules.write_text('[certificates]\ntrust_domains = ["headrace"]\n')
    ours = Certificates.make(tmp_path / "tls")
    cert, key = ours.write(ours.server(), "server")
    tls: dict[str, Any] = {}
    outside = grpc.aio.insecure_channel
    if client_auth == "optional":
        tls = {"tls_cert": cert, "tls_key": key, "tls_client_ca": ours.ca}
        outside = partial(
            grpc.aio.secure_channel,
            credentials=grpc.ssl_channel_credentials(ours.ca.read_bytes()),
        )
    access = {"auth": "on", "identity_file": rules, "gateway_folder": tmp_path / "sockets"}
    opening = running_registry(
        redis_url, namespace, tmp_path / "data", tls_client_auth=client_auth, **access, **tls
    )
    async with opening as registry:
        gateway = grpc.aio.insecure_channel(sockets_in(tmp_path / "sockets").grpc_target)
        told = [await caller(outside(registry.address)), await caller(gateway)]
    assert ["CREDENTIALS_MISSING", ALICE] == told
