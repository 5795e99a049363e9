"""A part of the suite that does not follow the shared state learns who may do what from a registry."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from headrace.access_feed.rights_feed import RIGHTS_FILE, RightsFeed
from headrace.access_feed.saved_rights import rights_in
from headrace.registry.v1 import access_service_pb2 as pb
from headrace.security.access import Access
from headrace.security.api_keys import digest_of
from headrace.security.credentials import Credentials
from headrace.security.verbs import Verb
from headrace.state.access_records import ApiKeyRecord, BindingRecord, GrantRecord
from headrace.state.catalog import Catalog
from headrace.tls.peers import PlainPeer
from headrace_registry.wire.rights_message import encode_rights
from tests.rpc.registry_fixtures import RunningRegistry, running_registry
from tests.rpc.test_registry_access import access as service
from tests.rpc.test_registry_access import make

Until = Callable[[Callable[[], bool]], Awaitable[None]]


@asynccontextmanager
async def following(
    running: RunningRegistry, data: Path, silent_seconds: float = 20.0
) -> AsyncIterator[tuple[Access, RightsFeed, Until]]:
    """A process that follows the rights of a registry, and a way to wait until something holds of them."""
    found, changed = Access(), asyncio.Event()
    feed = RightsFeed(PlainPeer(running.channel), found, data / RIGHTS_FILE, silent_seconds)
    feed.on_change = changed.set

    async def until(holds: Callable[[], bool]) -> None:
        while not holds():
            await changed.wait()
            changed.clear()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(feed.run())
        yield found, feed, until
        task.cancel()


async def test_rights_are_followed_and_kept(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """A key opens, is revoked and opens no more; the file is private and has no key."""
    async with (
        running_registry(redis_url, namespace, tmp_path / "registry") as running,
        following(running, tmp_path) as (found, feed, until),
    ):
        made = await make(running, "alice", grants=[{"role": "caller", "models": ["fraud-*"]}])
        digest = digest_of(made.secret)
        await until(lambda: digest in found.rights.keys)
        alice = found.identify(Credentials(f"Bearer {made.secret}"))
        assert found.may(alice, Verb.INFER, "fraud-1")
        assert not found.may(alice, Verb.INFER, "digits")
        await service(running).RevokeApiKey(pb.RevokeApiKeyRequest(name=made.key.name))
        await until(lambda: found.rights.keys[digest].is_disabled)
        assert feed.facts() == {
            "rights_known": True,
            "rights_followed": True,
            "rights_revision": 2,
        }
    file = tmp_path / RIGHTS_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert made.secret.encode() not in file.read_bytes()


async def test_a_process_that_is_cut_off_goes_on_with_what_it_has(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Also after a restart, by its file; it says so, and follows again when the registry is back."""
    async with running_registry(redis_url, namespace, tmp_path / "registry") as running:
        made = await make(running, "alice", grants=[{"role": "caller"}])
        digest = digest_of(made.secret)
        async with following(running, tmp_path) as (found, feed, until):
            await until(lambda: digest in found.rights.keys)
            running.stopping.set()
            await until(lambda: not feed.connected)
            assert "stopping" in str(feed.facts()["rights_problem"])
            assert digest in found.rights.keys
    nowhere: Any = grpc.aio.insecure_channel("127.0.0.1:1")
    again = Access()
    feed = RightsFeed(PlainPeer(nowhere), again, tmp_path / RIGHTS_FILE)
    assert "alice" == again.identify(Credentials(f"Bearer {made.secret}")).subject
    assert feed.facts()["rights_followed"] is False
    await nowhere.close()


async def test_a_registry_that_says_nothing_is_away(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Not even that nothing changed."""
    async with (
        running_registry(redis_url, namespace, tmp_path / "registry") as running,
        following(running, tmp_path, silent_seconds=0.2) as (found, feed, until),
    ):
        await until(lambda: found.has_rights)
        await until(lambda: bool(feed.problem))
        assert feed.problem == "it says nothing"


def test_a_damaged_file_is_no_rights(tmp_path: Path) -> None:
    """And no reason not to start."""
    (tmp_path / RIGHTS_FILE).write_bytes(b"\xff\xff")
    nobody = Access()
    feed = RightsFeed(PlainPeer(None), nobody, tmp_path / RIGHTS_FILE)  # type: ignore[arg-type]  # not called
    assert feed.facts()["rights_known"] is False


def test_much_is_told_in_parts() -> None:
    """Each of them says whether another follows; together they are all of it."""
    keys = [ApiKeyRecord(f"k{number}", "alice", f"d{number}", 1.0) for number in range(5)]
    binding = BindingRecord("alice", (GrantRecord("caller"),))
    records: Mapping[str, Mapping[str, object]] = {
        "api_keys": {key.name: key for key in keys},
        "bindings": {binding.name: binding},
    }
    parts = encode_rights(Catalog().updated(7, {}, {}, records), part=2)
    assert [True, True, False] == [part.more for part in parts]
    whole = pb.WatchRightsResponse()
    for part in parts:
        whole.MergeFrom(part)
    assert {key.digest for key in keys} == set(rights_in(whole).keys)
    assert ["alice"] == list(rights_in(whole).policy.bindings)


async def test_rights_in_parts_count_when_all_are_there(tmp_path: Path) -> None:
    """A process never has half of the keys."""
    access = Access()
    feed = RightsFeed(PlainPeer(None), access, tmp_path / RIGHTS_FILE)  # type: ignore[arg-type]  # not called
    key = {"id": "a", "subject": "alice", "digest": "d"}
    await feed._heard(pb.WatchRightsResponse(revision=1, keys=[key], more=True))
    assert not access.has_rights
    await feed._heard(pb.WatchRightsResponse(revision=1, keys=[key | {"digest": "e"}]))
    assert {"d", "e"} == set(access.rights.keys)
