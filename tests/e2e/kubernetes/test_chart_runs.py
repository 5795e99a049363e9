"""The chart's processes run with its arguments: tokens of service accounts, TLS, users of Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from headrace import AsyncClient
from headrace.cli.first_key import leave_key
from headrace.errors import PermissionDenied, Unauthenticated
from headrace.tls.authority import Authority, Names
from tests.e2e.kubernetes.manifests import (
    NAMESPACE,
    Manifest,
    containers,
    manifests,
    needs_tools,
    of_kind,
    rendered,
)
from tests.e2e.kubernetes.pods import running
from tests.e2e.kubernetes.test_chart_redis import server
from tests.e2e.models import scaling
from tests.security.issuers import jwk, jwks, rsa_key, token

pytestmark = [*needs_tools, pytest.mark.timeout(180)]

VALUES = (
    "--set=auth.enabled=true,auth.jwks.configMap=jwks,gateway.enabled=true,tls.enabled=true,"
    "tls.secrets.registry=r,tls.secrets.monitor=m,tls.secrets.gateway=g"
)
ISSUER = "https://kubernetes.default.svc.cluster.local"
FREE = {"grpc_port": "0", "http_port": "0"}
AT_ONCE = {"grace-seconds": "0", "drain-seconds": "1"}


@dataclass(frozen=True)
class Suite:
    """Where the parts are, and the folder of the pods."""

    registry: str
    gateway: str
    folder: Path

    def client(self, who: str) -> AsyncClient:
        """A client that comes through the gateway with the key or token of somebody."""
        return AsyncClient(
            registry=self.gateway,
            inference=self.gateway,
            tls_ca=self.folder / "ca.crt",
            token_file=self.folder / who,
        )


def prepare(folder: Path, found: list[Manifest]) -> None:
    """The files that Kubernetes, cert-manager and the chart would put into pods."""
    authority = Authority.create("cluster", timedelta(days=1))
    issued = authority.issue(Names(["localhost"], ["127.0.0.1"]), timedelta(days=1), serves=True)
    (folder / "ca.crt").write_bytes(authority.issued.certificate)
    identity = of_kind(found, "ConfigMap")["identity"]["data"]["identity.toml"]
    users = of_kind(found, "ConfigMap")["redis"]["data"]
    passwords = of_kind(found, "Secret")["redis"]["stringData"]
    for pod, user in (
        ("registry", "registry"),
        ("inference", "replica"),
        ("monitor", ""),
        ("gateway", ""),
    ):
        write(folder / pod / "etc/headrace/tls/ca.crt", authority.issued.certificate)
        write(folder / pod / "etc/headrace/tls/tls.crt", issued.certificate)
        write(folder / pod / "etc/headrace/tls/tls.key", issued.key)
        write(folder / pod / "etc/headrace/identity/identity.toml", identity.encode())
        write(folder / pod / "etc/headrace/identity/jwks.json", jwks(jwk(rsa_key(), "k8s")))
        write(folder / pod / "var/run/secrets/headrace/token", service_account(pod).encode())
        if user:
            write(folder / pod / "etc/headrace/redis/user", users[user].encode())
            write(
                folder / pod / "etc/headrace/redis/password", passwords[f"{user}-password"].encode()
            )
    write(folder / "shop", service_account("shop").encode())


def service_account(name: str) -> str:
    """The token that the cluster projects for a pod's account."""
    account = name if name == "shop" else f"trial-headrace-{name}"
    claims = {"iss": ISSUER, "aud": ["headrace"], "kubernetes.io": {"namespace": NAMESPACE}}
    subject = f"system:serviceaccount:{NAMESPACE}:{account}"
    return token(rsa_key(), "RS256", "k8s", sub=subject, **claims)


def write(file: Path, content: bytes) -> None:
    """A file that its account alone can read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    file.chmod(0o600)


@asynccontextmanager
async def suite(folder: Path, *, replicas_tls: bool) -> AsyncIterator[Suite]:
    """All parts run while inside, and may call one another."""
    more = ["--set=tls.replicas=true,tls.secrets.inference=i"] if replicas_tls else []
    found = manifests(rendered("default", VALUES, *more))
    prepare(folder, found)
    pods = containers(found)
    users = of_kind(found, "Secret")["redis"]["stringData"]["users.acl"]
    async with AsyncExitStack() as stack:
        probed: list[tuple[Manifest, str]] = []
        state = {"redis_url": f"unix://{stack.enter_context(server(folder, users))}"}

        async def start(name: str, **changes: str) -> Mapping[str, str]:
            flags = {key.replace("_", "-"): value for key, value in changes.items()}
            if name in ("inference", "gateway"):
                flags |= AT_ONCE
            where = await stack.enter_async_context(running(pods[name], folder / name, flags))
            probed.append((pods[name], where["metrics" if name == "inference" else "http"]))
            return where

        registry = await start("registry", **FREE, **state)
        await admit(folder, registry["grpc"])
        at = {"registry_address": registry["grpc"]}
        monitor = await start("monitor", **FREE, **at)
        at["monitor_address"] = monitor["grpc"]
        replica = {"replica_id": "pod-1", "advertised_host": "127.0.0.1", "metrics_port": "0"}
        await start("inference", **FREE, **replica, **at, **state)
        at["monitor_http_address"] = monitor["http"]
        hosts = {"http_host": "127.0.0.1", "http_port": "0", "port": "0"}
        gateway = await start("gateway", **hosts, **at)
        for container, address in probed:
            await until_probes_pass(container, address)
        yield Suite(registry["grpc"], gateway["edge"], folder)


async def until_probes_pass(container: Manifest, address: str) -> None:
    """Ask what the kubelet asks of a container, until it is content; it verifies no certificate either."""
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    async with asyncio.timeout(30), aiohttp.ClientSession() as session:
        for probe in probes:
            url = f"{probe['scheme'].lower()}://{address}{probe['path']}"
            while not await _passes(session, url):  # noqa: ASYNC110 (nothing tells)
                await asyncio.sleep(0.05)


async def _passes(session: aiohttp.ClientSession, url: str) -> bool:
    async with session.get(url, ssl=False) as response:
        return response.status == 200


async def admit(folder: Path, registry: str) -> None:
    """As the chart's notes say: the first admin's key, and the suite's accounts are services."""
    made = leave_key(folder / "registry" / "data", "admin", {"admin": []})
    write(folder / "admin", made.secret.encode())
    client = AsyncClient(registry=registry, tls_ca=folder / "ca.crt", token_file=folder / "admin")
    async with client:
        await until_known(client)
        for part in ("inference", "monitor", "gateway"):
            account = f"kubernetes:system:serviceaccount:{NAMESPACE}:trial-headrace-{part}"
            await client.grant_role(account, "service")


async def until_known(client: AsyncClient) -> None:
    """Wait until the registry has taken the key in."""
    async with asyncio.timeout(30):
        while True:
            try:
                await client.models()
            except Unauthenticated:
                await asyncio.sleep(0.1)
            else:
                return


@pytest.mark.parametrize("replicas", ["plain", "tls"])
async def test_it_runs_with_tokens_of_service_accounts(tmp_path: Path, replicas: str) -> None:
    """A model is pushed and called through the gateway; a pod's account may do what was granted to it."""
    async with suite(tmp_path, replicas_tls=replicas == "tls") as running_suite:
        async with running_suite.client("admin") as admin:
            version = await admin.push("fraud-1", scaling(3))
            await admin.wait_until_ready("fraud-1", version.number, timeout_seconds=60)
            shop = f"kubernetes:system:serviceaccount:{NAMESPACE}:shop"
            await admin.grant_role(shop, "caller", ["fraud-*"])
        async with running_suite.client("shop") as caller:
            answer = await caller.infer("fraud-1", {"x": np.array([[1, 2]], np.float32)})
            with pytest.raises(PermissionDenied):
                await caller.push("fraud-1", scaling(4))

    assert [[3.0, 6.0]] == answer["y"].tolist()
