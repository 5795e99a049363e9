"""A registry that believes client certificates over TLS: whose they are, what they may, and forgeries."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from headrace import errors, status
from headrace.client import AsyncClient, read_client_settings
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from headrace.tls.authority import Names
from tests.rpc.registry_fixtures import RunningRegistry, running_registry
from tests.security.registries import post_admin
from tests.tls_files import TlsFolder, tls_folder

IDENTITIES = """
[certificates]
trust_domains = ["headrace"]
gateways = ["spiffe://headrace/gateway"]
[certificates.hosts]
"batch.example" = "batch"
"""
CALLERS = {
    "alice": Names(["batch.example"], (), ["spiffe://headrace/alice"]),
    "batch": Names(["batch.example"]),
    "posing": Names(["spiffe.headrace.alice"]),
    "foreign": Names((), (), ["spiffe://elsewhere/alice"]),
    "two": Names((), (), ["spiffe://headrace/alice", "spiffe://headrace/bob"]),
    "gateway": Names((), (), ["spiffe://headrace/gateway"]),
}
"""The names in certificates of the authority."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A registry, its authority, and its admin's key in a file."""

    folder: TlsFolder
    registry: RunningRegistry
    admin: Path

    def client(self, caller: str = "", **more: Any) -> AsyncClient:
        """A client that shows somebody's certificate."""
        shown = {}
        if caller:
            pair = self.folder.pair(caller, CALLERS[caller])
            shown = {"tls_cert": pair.certificate, "tls_key": pair.key}
        given = {"registry": self.registry.address, "tls_ca": self.folder.ca, **shown, **more}
        return AsyncClient(settings=read_client_settings({}, timeout_seconds=5.0, **given))

    async def as_admin(self) -> AsyncClient:
        """A client of the admin, once the registry knows the key."""
        client = self.client(token_file=self.admin)
        async with asyncio.timeout(20):
            while True:
                try:
                    await client.caller()
                except errors.Unauthenticated:
                    await asyncio.sleep(0.01)
                else:
                    return client

    async def subject(self, caller: str, **more: Any) -> str:
        """Who the registry says that somebody is; or the reason why he is nobody."""
        async with self.client(caller, **more) as client:
            try:
                return (await client.caller()).subject
            except errors.HeadraceError as error:
                return error.reason


@asynccontextmanager
async def _scene(
    redis_url: str, namespace: str, tmp_path: Path, auth: str = "optional"
) -> AsyncIterator[Scene]:
    folder, admin, data = tls_folder(tmp_path), tmp_path / "admin.key", tmp_path / "registry"
    pair, identities = folder.server(), tmp_path / "identity.toml"
    identities.write_text(IDENTITIES)
    admin.write_text(post_admin(data))
    changes: dict[str, Any] = {
        "auth": "on",
        "identity_file": identities,
        "tls_cert": pair.certificate,
        "tls_key": pair.key,
        "tls_client_ca": folder.ca,
        "tls_client_auth": auth,
    }
    async with running_registry(redis_url, namespace, data, **changes) as registry:
        yield Scene(folder, registry, admin)


async def test_certificates_keys_and_nobody_on_one_port(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A certificate is its holder's identity by its URI, or by a host's name that is mapped."""
    async with _scene(redis_url, namespace, tmp_path) as scene:
        admin = await scene.as_admin()
        assert ["root", "spiffe://headrace/alice", "batch"] == [
            (await admin.caller()).subject,
            await scene.subject("alice"),
            await scene.subject("batch"),
        ]
        nobody = [await scene.subject(name) for name in ("", "posing", "foreign", "two")]
        assert ["CREDENTIALS_MISSING"] * 4 == nobody
        assert "CREDENTIALS_CONFLICT" == await scene.subject("alice", token_file=scene.admin)
        await admin.close()


async def test_a_grant_to_a_certificate_holds_on_both_ports(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Over gRPC it shows the models that were granted, over HTTP the metrics if all were."""
    async with _scene(redis_url, namespace, tmp_path) as scene:
        admin = await scene.as_admin()
        for model in ("team-a", "team-b"):
            await admin.create_model(model)
        await admin.grant_role("spiffe://headrace/alice", "viewer", ["team-a"])
        await admin.grant_role("batch", "viewer")
        await admin.close()
        for caller, models in (("alice", ["team-a"]), ("batch", ["team-a", "team-b"])):
            async with scene.client(caller) as client:
                assert models == [model.name for model in await client.models()]
        asked = [await _metrics(scene, caller) for caller in ("batch", "alice", "")]
        assert [200, 403, 401] == asked


async def _metrics(scene: Scene, caller: str) -> int:
    context = ssl.create_default_context(cafile=str(scene.folder.ca))
    if caller:
        pair = scene.folder.pair(caller, CALLERS[caller])
        context.load_cert_chain(pair.certificate, pair.key)
    url = f"https://{scene.registry.http_address}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url, ssl=context) as response:
        return response.status


@pytest.mark.parametrize("auth", ["optional", "required"])
async def test_what_a_gateway_says_is_believed_of_gateways_alone(
    redis_url: str, namespace: str, tmp_path: Path, auth: str
) -> None:
    """A header that names another is not looked at, whoever sends it with whatever certificate."""
    said = [("x-forwarded-client-cert", "URI=spiffe://headrace/alice")]
    async with _scene(redis_url, namespace, tmp_path, auth) as scene:
        told = {
            caller: await _reason(scene, caller, said)
            for caller in (*(("",) if auth == "optional" else ()), "foreign", "batch", "gateway")
        }
    assert {"gateway": "PERMISSION_DENIED", "batch": "PERMISSION_DENIED"}.items() <= told.items()
    assert {"CREDENTIALS_MISSING"} == {told[name] for name in told if name in ("", "foreign")}


async def _reason(scene: Scene, caller: str, metadata: list[tuple[str, str]]) -> str:
    """Why a call is refused that everybody may make who is somebody with rights."""
    pair = scene.folder.pair(caller, CALLERS[caller]) if caller else None
    credentials = grpc.ssl_channel_credentials(
        scene.folder.ca.read_bytes(),
        pair.key.read_bytes() if pair else None,
        pair.certificate.read_bytes() if pair else None,
    )
    async with grpc.aio.secure_channel(scene.registry.address, credentials) as channel:
        request = pb.GetModelRequest(name="models/team-a")
        call: Any = RegistryServiceStub(channel).GetModel
        try:
            await call(request, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            return status.error_from_rpc(error).reason
    return ""
