"""Who calls a registry over TLS: by certificates, by tokens of an issuer, by what a gateway forwards."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from headrace import status
from headrace.registry.v1 import access_service_pb2 as pb
from headrace.registry.v1.access_service_pb2_grpc import AccessServiceStub
from headrace.tls.authority import Authority, Issued, Names
from tests.rpc.registry_fixtures import RunningRegistry, running_registry
from tests.security.issuers import AUDIENCE, ISSUER, ec_key, jwk, jwks, token
from tests.security.registries import bearer, post_admin

DAY = timedelta(days=1)
ALICE = "spiffe://headrace/ns/ml/sa/alice"
GATEWAY = "spiffe://headrace/gateway"
IDENTITIES = f"""
[[issuers]]
name = "corp"
issuer = "{ISSUER}"
audiences = ["{AUDIENCE}"]
jwks = "jwks.json"

[certificates]
trust_domains = ["headrace"]
gateways = ["{GATEWAY}"]
[certificates.hosts]
"batch.example" = "batch"
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """A registry over TLS, the authority of its callers, and the key of its admin."""

    running: RunningRegistry
    authority: Authority
    admin: str
    folder: Path

    def certificate(self, *uris: str, hosts: tuple[str, ...] = ()) -> Issued:
        """A certificate of a caller."""
        return self.authority.issue(Names(hosts, (), uris), DAY, serves=False)

    async def caller(self, shown: Issued | None = None, *metadata: tuple[str, str]) -> str:
        """Who a caller is, and by which proof; or the reason why nobody is told."""
        credentials = grpc.ssl_channel_credentials(
            self.authority.issued.certificate,
            shown.key if shown else None,
            shown.certificate if shown else None,
        )
        async with grpc.aio.secure_channel(self.running.address, credentials) as channel:
            stub: Any = AccessServiceStub(channel)
            try:
                found = await stub.GetCaller(pb.GetCallerRequest(), metadata=metadata)
            except grpc.RpcError as error:
                return status.error_from_rpc(error).reason
            return f"{found.subject} {found.proof}"

    async def until(self, expected: str, *metadata: tuple[str, str]) -> None:
        """Wait until a caller without a certificate is somebody."""
        for _ in range(1000):
            if await self.caller(None, *metadata) == expected:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"never {expected!r}")


@asynccontextmanager
async def serving(redis_url: str, namespace: str, folder: Path) -> AsyncIterator[Scene]:
    """A registry that knows an issuer, a trust domain, a host and a gateway."""
    authority = Authority.create("suite", DAY)
    server = authority.issue(Names(["localhost"], ["127.0.0.1"]), DAY, serves=True)
    (folder / "ca.pem").write_bytes(authority.issued.certificate)
    (folder / "cert.pem").write_bytes(server.certificate)
    (folder / "key.pem").write_bytes(server.key)
    (folder / "jwks.json").write_bytes(jwks(jwk(ec_key(), "e1")))
    (folder / "identity.toml").write_text(IDENTITIES)
    admin = post_admin(folder / "data")
    async with running_registry(
        redis_url,
        namespace,
        folder / "data",
        auth="on",
        identity_file=folder / "identity.toml",
        tls_cert=folder / "cert.pem",
        tls_key=folder / "key.pem",
        tls_client_ca=folder / "ca.pem",
        tls_client_auth="optional",
    ) as running:
        scene = Scene(running, authority, admin, folder)
        await scene.until("root api-key", *bearer(admin))
        yield scene


async def test_who_calls_over_tls(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """A certificate, a token, both of one subject; what contradicts itself or means nothing is nobody."""
    async with serving(redis_url, namespace, tmp_path) as scene:
        alice, jwt = scene.certificate(ALICE), bearer(token())[0]
        key = bearer(scene.admin)[0]
        assert await scene.caller() == "CREDENTIALS_MISSING"
        assert await scene.caller(alice) == f"{ALICE} certificate"
        assert (
            await scene.caller(scene.certificate(hosts=("batch.example",))) == "batch certificate"
        )
        assert await scene.caller(scene.certificate(hosts=(ALICE,))) == "CREDENTIALS_MISSING"
        assert await scene.caller(scene.certificate("spiffe://else/x")) == "CREDENTIALS_MISSING"
        assert await scene.caller(None, jwt) == "corp:alice jwt"
        assert await scene.caller(scene.certificate("spiffe://else/x"), jwt) == "corp:alice jwt"
        assert await scene.caller(alice, jwt) == "CREDENTIALS_CONFLICT"
        assert await scene.caller(alice, key) == "CREDENTIALS_CONFLICT"
        assert await scene.caller(None, *bearer(token(aud="else"))) == "TOKEN_INVALID"
        assert await scene.caller(None, *bearer(token(exp=1))) == "TOKEN_EXPIRED"
        assert await scene.caller(None, *bearer(token(ec_key(1)))) == "TOKEN_INVALID"


async def test_what_is_forwarded_is_believed_of_gateways_alone(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """From anybody else the header says nothing, whatever it is."""
    async with serving(redis_url, namespace, tmp_path) as scene:
        forwarded = ("x-forwarded-client-cert", f'Hash=x;Subject="CN=a";URI={ALICE}')
        bob = scene.certificate("spiffe://headrace/bob")
        gateway = scene.certificate(GATEWAY)
        assert await scene.caller(gateway, forwarded) == f"{ALICE} certificate"
        assert await scene.caller(gateway) == "CREDENTIALS_MISSING"
        broken = (forwarded[0], forwarded[1] + ";")
        assert await scene.caller(gateway, broken) == "CREDENTIALS_MISSING"
        assert await scene.caller(gateway, *bearer(scene.admin)) == "root api-key"
        assert await scene.caller(bob, forwarded) == "spiffe://headrace/bob certificate"
        assert await scene.caller(None, forwarded) == "CREDENTIALS_MISSING"
        posing = scene.certificate(hosts=(GATEWAY,))
        assert await scene.caller(posing, forwarded) == "CREDENTIALS_MISSING"


async def test_a_certificate_of_another_authority_is_refused(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Whatever names it has: its connection is not made."""
    async with serving(redis_url, namespace, tmp_path) as scene:
        forged = Authority.create("suite", DAY).issue(Names(uris=[ALICE]), DAY, serves=False)
        assert await scene.caller(forged) not in ("", f"{ALICE} certificate")


async def test_an_issuer_that_is_taken_out_of_the_file_is_believed_no_more(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The file is read again while the registry runs."""
    async with serving(redis_url, namespace, tmp_path) as scene:
        jwt = bearer(token())
        assert await scene.caller(None, *jwt) == "corp:alice jwt"
        without = IDENTITIES.partition("[certificates]")
        (tmp_path / "identity.toml").write_text(without[1] + without[2])
        await scene.until("TOKEN_INVALID", *jwt)
        assert await scene.caller(scene.certificate(ALICE)) == f"{ALICE} certificate"


@pytest.mark.parametrize("uri", [ALICE, "spiffe://else/x"])
async def test_certificates_count_over_http_too(
    redis_url: str, namespace: str, tmp_path: Path, uri: str
) -> None:
    """A scraper that shows one needs no key, where it was granted what metrics take."""
    async with serving(redis_url, namespace, tmp_path) as scene:
        credentials = grpc.ssl_channel_credentials(scene.authority.issued.certificate)
        async with grpc.aio.secure_channel(scene.running.address, credentials) as channel:
            stub: Any = AccessServiceStub(channel)
            granted = pb.GrantRoleRequest(subject=ALICE, grant={"role": "viewer", "models": ["*"]})
            await stub.GrantRole(granted, metadata=bearer(scene.admin))
        shown = scene.certificate(uri)
        (tmp_path / "shown.pem").write_bytes(shown.certificate + shown.key)
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        context.load_cert_chain(tmp_path / "shown.pem")
        async with aiohttp.ClientSession() as http:
            url = f"https://{scene.running.http_address}/metrics"
            async with http.get(url, ssl=context) as answer:
                assert answer.status == (200 if uri == ALICE else 401)
                text = await answer.text()
            assert ("headrace_issuer_keys" in text) is (uri == ALICE)
