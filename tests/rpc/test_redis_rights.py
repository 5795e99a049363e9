"""Users of least privilege: all works with them, and a right that is missing is told at once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from redis.exceptions import NoPermissionError

from headrace import AsyncClient, errors
from headrace.state.connection import open_redis, redis_errors
from headrace.state.key_uses import forget_key_uses, note_key_uses, read_key_uses
from headrace.state.keys import Keys
from headrace.state.redis_acl import Release, acl_file
from headrace_registry.app import open_registry
from tests.certificates import make_certificates
from tests.redis_servers import PASSWORDS, Server, running_server
from tests.rpc.registry_fixtures import eventually, onnx_file
from tests.rpc.registry_fixtures import settings as registry_settings
from tests.rpc.replica_fixtures import running_replica

DIGITS = np.zeros((1, 4), np.float32)
ACCESS_DENIED = "STATE_ACCESS_DENIED"
SHIPPED = Path(__file__).parents[2] / "deploy" / "redis"
LONG = pytest.mark.toolchain
SERVERS = [("7.2", False), pytest.param("7.0", False, marks=LONG), ("7.0", True)]


@dataclass(frozen=True)
class Suite:
    """A registry and perhaps a replica, each with its own user, and a client of both."""

    server: Server
    client: AsyncClient
    http: str
    metrics: str = ""


@asynccontextmanager
async def registry_of(server: Server, folder: Path) -> AsyncIterator[Any]:
    """A registry in this process."""
    given = server.settings("registry")
    settings = registry_settings(given.pop("redis_url"), server.namespace, folder, **given)
    async with open_registry(settings, asyncio.Event()) as registry:
        yield registry


@asynccontextmanager
async def suite_of(server: Server, folder: Path) -> AsyncIterator[Suite]:
    """A registry and a replica."""
    given = server.settings("replica")
    async with (
        registry_of(server, folder / "registry") as registry,
        running_replica(
            given.pop("redis_url"),
            folder / "replica",
            registry.grpc_address,
            namespace=server.namespace,
            join_seconds=0.0,
            **given,
        ) as replica,
        AsyncClient(
            registry=registry.grpc_address, inference=replica.fronts.grpc_address
        ) as client,
    ):
        yield Suite(server, client, registry.http_address, replica.fronts.metrics_address)


def model_file(folder: Path) -> Path:
    """A model to push."""
    path = folder / "model.onnx"
    path.write_bytes(onnx_file())
    return path


async def page(address: str, path: str) -> str:
    """What a port of operations answers."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}{path}") as answer:
        return await answer.text()


@pytest.mark.parametrize(("release", "tls"), SERVERS)
async def test_all_works_with_the_users_that_are_shipped(
    namespace: str, tmp_path: Path, release: Release, tls: bool
) -> None:
    """Over TCP and over TLS with certificates of both sides, no command of any service is refused."""
    made = make_certificates(tmp_path / "certificates") if tls else None
    path = model_file(tmp_path)
    async with running_server(tmp_path / "redis", namespace, release, made) as server:
        async with suite_of(server, tmp_path) as suite:
            first = await suite.client.push("digits", path)
            await suite.client.push("digits", path, alias="champion")
            await suite.client.wait_until_ready("digits", first.number)
            await suite.client.infer("digits", {"x": DIGITS})
            await suite.client.wait_until_ready("digits", 2)
            await suite.client.set_route("digits", 2)
            await suite.client.delete_alias("digits", "champion")
            await suite.client.delete_version("digits", 1)
        async with suite_of(server, tmp_path) as suite:
            assert ["digits"] == [model.name for model in await suite.client.models()]
            await suite.client.wait_until_ready("digits", 2)
            await suite.client.delete_model("digits", force=True)
        async with server.admin() as admin:
            assert [] == await admin.send("ACL", "LOG")


@pytest.mark.parametrize("release", ["7.2", "7.0"])
async def test_a_replica_cannot_change_what_it_reads(
    namespace: str, tmp_path: Path, release: Release
) -> None:
    """Its user may say that it is there; the catalog, other namespaces and the server are not its."""
    keys = Keys(namespace)
    async with (
        running_server(tmp_path / "redis", namespace, release) as server,
        open_redis(server.called_by("replica")) as replica,
    ):
        await replica.set(keys.replica("one"), "here")
        await note_key_uses(replica, keys, {"key": 1})
        for command in (
            ("SET", keys.revision, "7"),
            ("XADD", keys.changes, "*", "change", "x"),
            ("HSET", keys.models, "m", "x"),
            ("DEL", keys.models),
            ("EVAL", "return redis.call('SET', KEYS[1], 'x')", 1, keys.revision),
            ("EVAL", "return 1", 1, keys.models),
            ("GET", "other"),
            ("KEYS", "*"),
            ("FLUSHALL",),
            ("CONFIG", "GET", "*"),
            ("ACL", "LIST"),
        ):
            with pytest.raises(NoPermissionError):
                await replica.send(*command)


async def test_the_registry_reads_and_forgets_what_replicas_note(
    namespace: str, tmp_path: Path
) -> None:
    """The days of keys' uses are written by both users."""
    keys = Keys(namespace)
    async with (
        running_server(tmp_path / "redis", namespace) as server,
        open_redis(server.called_by("replica")) as replica,
        open_redis(server.called_by("registry")) as registry,
    ):
        await note_key_uses(replica, keys, {"one": 1, "two": 2})
        await note_key_uses(registry, keys, {"one": 3})
        await forget_key_uses(registry, keys, {"one"})
        assert {"one": 3} == await read_key_uses(registry, keys)


@pytest.mark.parametrize(("release", "file"), [("7.0", "users-7.0.acl"), ("7.2", "users-7.2.acl")])
def test_the_shipped_files_are_what_the_command_prints(release: Release, file: str) -> None:
    """For the namespace `default`, without passwords."""
    assert acl_file("default", release) == (SHIPPED / file).read_text()


async def test_a_new_password_is_taken_at_the_next_connection(
    namespace: str, tmp_path: Path
) -> None:
    """The password changes, its file after it, and all connections are cut: nothing is restarted."""
    path = model_file(tmp_path)
    async with (
        running_server(tmp_path / "redis", namespace) as server,
        server.admin() as admin,
        suite_of(server, tmp_path) as suite,
    ):
        await suite.client.push("digits", path)
        for user in PASSWORDS:
            name = f"headrace-{namespace}-{user}"
            await admin.send("ACL", "SETUSER", name, "resetpass", ">rotated")
            server.password_file(user).write_text("rotated")
            await admin.send("CLIENT", "KILL", "USER", name)
        await suite.client.push("digits", path, alias="after")
        await suite.client.wait_until_ready("digits", "after", timeout_seconds=20)


@pytest.mark.toolchain
async def test_a_wrong_password_is_told_to_who_asks_and_once_in_the_log(
    namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A registry that is not let in says so by its answers, its readiness and its metrics, until it is."""
    path = model_file(tmp_path)
    async with running_server(tmp_path / "redis", namespace) as server:
        server.password_file("registry").write_text("wrong")
        with caplog.at_level(logging.WARNING, "headrace.state.outage"):
            async with (
                registry_of(server, tmp_path / "registry") as registry,
                AsyncClient(registry=registry.grpc_address) as client,
            ):
                with pytest.raises(errors.Unavailable) as caught:
                    await client.push("digits", path, timeout_seconds=60)
                facts = await page(registry.http_address, "/readyz")
                metrics = await page(registry.http_address, "/metrics")
                server.password_file("registry").write_text(PASSWORDS["registry"])
                await eventually_pushed(client, path)
                healed = await page(registry.http_address, "/metrics")
    assert ACCESS_DENIED == caught.value.reason
    assert "WRONGPASS" == caught.value.facts["refusal"]
    assert '"state_denied":true' in facts
    assert "WRONGPASS" in facts
    assert "headrace_registry_state_denied 1.0" in metrics
    assert "headrace_registry_state_denied 0.0" in healed
    assert 1 == len([record for record in caplog.records if "WRONGPASS" in record.getMessage()])


async def eventually_pushed(client: AsyncClient, path: Path) -> None:
    """Push as soon as the registry is let in."""
    async with asyncio.timeout(20):
        while True:
            try:
                await client.push("digits", path)
            except errors.Unavailable:
                await asyncio.sleep(0.05)
            else:
                return


@pytest.mark.parametrize(
    ("release", "right"), [("7.2", "-hlen"), pytest.param("7.0", "-eval_ro", marks=LONG)]
)
async def test_waiting_for_a_replica_that_may_not_read_ends_with_the_reason(
    namespace: str, tmp_path: Path, release: Release, right: str
) -> None:
    """It says in its presence what it may not, in a command or within a script: nobody waits for it."""
    path = model_file(tmp_path)
    async with running_server(tmp_path / "redis", namespace, release) as server:
        async with server.admin() as admin:
            await admin.send("ACL", "SETUSER", f"headrace-{namespace}-replica", right)
        async with suite_of(server, tmp_path) as suite:
            pushed = await suite.client.push("digits", path)
            with pytest.raises(errors.Unavailable) as caught:
                await suite.client.wait_until_ready("digits", pushed.number, timeout_seconds=60)
            metrics = await page(suite.metrics, "/metrics")
            facts = await page(suite.metrics, "/readyz")
            with pytest.raises(errors.Unavailable) as refused:
                await suite.client.infer("digits", {"x": DIGITS}, timeout_seconds=0.9)
    assert [ACCESS_DENIED] * 2 == [caught.value.reason, refused.value.reason]
    assert "NOPERM" in caught.value.message
    assert "headrace_inference_state_denied 1" in metrics
    assert '"state_denied":true' in facts


@pytest.mark.toolchain
async def test_waiting_for_a_replica_that_is_not_let_in_ends_with_the_reason(
    namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One that cannot even say that it is there is asked itself; its presence is told missing once."""
    path = model_file(tmp_path)
    async with running_server(tmp_path / "redis", namespace) as server:
        server.password_file("replica").write_text("wrong")
        with caplog.at_level(logging.WARNING, "headrace_inference.adapters.presence"):
            async with suite_of(server, tmp_path) as suite:
                pushed = await suite.client.push("digits", path)
                with pytest.raises(errors.Unavailable) as caught:
                    await suite.client.wait_until_ready("digits", pushed.number, timeout_seconds=60)
                await eventually(lambda: bool(presence_warnings(caplog)))
    assert ACCESS_DENIED == caught.value.reason
    assert "WRONGPASS" in caught.value.message
    assert 1 == len(presence_warnings(caplog))


def presence_warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the replica's presence said."""
    return [text for each in caplog.records if "presence" in (text := each.getMessage())]


async def test_a_client_without_credentials_is_told_so(namespace: str, tmp_path: Path) -> None:
    """A server that asks for a password says NOAUTH, which is not taken for one that is away."""
    async with (
        running_server(tmp_path / "redis", namespace) as server,
        open_redis(f"redis://127.0.0.1:{server.port}") as client,
    ):
        with pytest.raises(errors.Unavailable) as caught, redis_errors(client):
            await client.get("any")
    assert (ACCESS_DENIED, "NOAUTH") == (caught.value.reason, caught.value.facts["refusal"])


async def test_certificates_are_verified_and_read_anew(namespace: str, tmp_path: Path) -> None:
    """A server of another authority is not talked to; one that is swapped in is, without a restart."""
    served = make_certificates(tmp_path / "served")
    other = make_certificates(tmp_path / "other")
    async with running_server(tmp_path / "redis", namespace, "7.0", served) as server:
        trusted = replace(server.called_by("registry"), tls_ca=tmp_path / "trusted.pem")
        assert trusted.tls_ca
        trusted.tls_ca.write_bytes(other.ca.read_bytes())
        async with open_redis(trusted) as client:
            with pytest.raises(errors.Unavailable) as caught, redis_errors(client):
                await client.ping()
            trusted.tls_ca.write_bytes(served.ca.read_bytes())
            assert await client.ping()
    assert "STATE_UNAVAILABLE" == caught.value.reason
    assert "CERTIFICATE_VERIFY_FAILED" in caught.value.message
