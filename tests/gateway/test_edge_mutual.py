"""A gateway on another machine: TLS to the services, which believe what it forwards by its name."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from headrace.registry.v1 import access_service_pb2
from headrace.registry.v1.access_service_pb2_grpc import AccessServiceStub
from headrace.tls.authority import Names
from tests.gateway.envoy import needs_envoy
from tests.gateway.fixtures import DAY, Certificates, infer, request, running_gateway, served
from tests.rpc.registry_fixtures import running_registry

GATEWAY, ALICE = "spiffe://headrace/gateway", "spiffe://headrace/alice"
FORGED = (("x-forwarded-client-cert", "URI=spiffe://headrace/bob"),)

pytestmark = [pytest.mark.toolchain, needs_envoy]


def _trusting(ours: Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ours.ca))


def server_tls(ours: Certificates) -> dict[str, Any]:
    """TLS of a service that requires certificates."""
    cert, key = ours.write(ours.server(), "server")
    return {
        "tls_cert": cert,
        "tls_key": key,
        "tls_client_ca": ours.ca,
        "tls_client_auth": "required",
    }


def gateway_tls(ours: Certificates, *names: str) -> dict[str, Any]:
    """TLS of a gateway, which has these names, to services and to callers."""
    own = ours.authority.issue(Names(["gateway.example"], (), names), DAY, serves=False)
    cert, key = ours.write(own, "gateway")
    edge = server_tls(ours) | {"tls_client_auth": "optional"}
    return edge | {"peer_tls_ca": ours.ca, "peer_tls_cert": cert, "peer_tls_key": key}


async def subject(address: str, ours: Certificates) -> str:
    """Who the registry takes a caller for who shows a certificate, and claims to be another."""
    alice, ca = ours.caller(ALICE), ours.ca.read_bytes()
    shown = grpc.ssl_channel_credentials(ca, alice.key, alice.certificate)
    async with grpc.aio.secure_channel(address, shown) as channel:
        asked = access_service_pb2.GetCallerRequest()
        return str((await AccessServiceStub(channel).GetCaller(asked, metadata=FORGED)).subject)


@pytest.mark.parametrize(
    ("name", "expected"), [(GATEWAY, ALICE), ("spiffe://headrace/other", "spiffe://headrace/other")]
)
async def test_a_gateway_is_believed_by_its_name(
    redis_url: str, namespace: str, tmp_path: Path, name: str, expected: str
) -> None:
    """Another proxy, whose certificate the registry takes, too, is only itself."""
    ours, rules = Certificates.make(tmp_path / "tls"), tmp_path / "identity.toml"
    rules.write_text(f'[certificates]\ntrust_domains = ["headrace"]\ngateways = ["{GATEWAY}"]\n')
    registry = running_registry(
        redis_url,
        namespace,
        tmp_path / "data",
        auth="on",
        identity_file=rules,
        **server_tls(ours),
    )
    async with registry as running:
        edge = gateway_tls(ours, name)
        async with running_gateway(running.address, tmp_path / "gateway", **edge) as gateway:
            assert expected == await subject(gateway.address, ours)


async def test_replicas_are_called_over_tls(redis_url: str, tmp_path: Path) -> None:
    """Both wires, and the checks of their health, by replicas that require certificates."""
    ours = Certificates.make(tmp_path / "tls")
    tls = server_tls(ours)
    opening = served(
        redis_url, tmp_path, replica={"front": "grpcio", **tls}, **gateway_tls(ours, GATEWAY)
    )
    async with opening as edge:
        trusted = grpc.ssl_channel_credentials(ours.ca.read_bytes())
        async with grpc.aio.secure_channel(edge.address, trusted) as channel:
            answer = await infer(channel)(request(), timeout=10)
        async with aiohttp.ClientSession(f"https://{edge.address}") as session:
            rest = await session.get("/v2/health/ready", ssl=_trusting(ours))
    assert ("add", 200) == (answer.model_name, rest.status)
