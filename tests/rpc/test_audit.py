"""Who changed what: recorded with how that is known and why, read by those who may, and verified."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from headrace import AsyncClient, Client, errors
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.security.api_keys import id_of
from headrace.state.connection import open_redis
from headrace.state.keys import Keys
from headrace.state.reader import CHANGE_FIELD
from tests.rpc.registry_fixtures import running_registry
from tests.rpc.test_cli_commands import Shell, open_shell
from tests.security.registries import bearer, reason_of, secured_registry

WHY = "Rückbau nach Störung 12"


async def make(shell: Shell, *names: str) -> None:
    """Make models at the shell's registry."""
    async with AsyncClient(registry=shell.flags[1]) as client:
        for name in names:
            await client.create_model(name)


async def test_a_change_says_who_made_it_and_how_that_is_known(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The key's subject and id, the address, the request's id, the reason; what he calls himself beside."""
    token = tmp_path / "token"
    async with secured_registry(redis_url, namespace, tmp_path / "data") as secured:
        token.write_text(await secured.key("alice", ("publisher", "*"), ("admin", "*")))
        async with AsyncClient(
            registry=secured.running.address, token_file=token, actor="someone else", reason=WHY
        ) as client:
            await client.create_model("digits", request_id="12345678-1234-5678-1234-567812345678")
            (made,) = await client.audit(model="digits")
            change = await anext(client.watch())
        shell = Shell(("--registry", secured.running.address, "--token-file", str(token)))
        shown, wide = await asyncio.gather(
            shell("audit", "--model", "digits"), shell("audit", "--model", "digits", "--wide")
        )
        everything = await secured.stub.ListChanges(
            pb.ListChangesRequest(oldest_first=True), metadata=bearer(secured.admin)
        )
    assert ("model.create", "models/digits", "alice") == (made.kind, made.resource, made.actor)
    assert f"api-key:{id_of(token.read_text())}" == made.proof
    assert (WHY, "someone else") == (made.reason, made.claim)
    assert ("alice" in shown.output, "someone else" in shown.output) == (True, False)
    assert "alice (says someone else)" in wide.output
    assert made.peer.startswith("ipv4:127.0.0.1:")
    assert made.request_id
    assert (made.proof, WHY) == (change.proof, change.reason)
    first = everything.changes[0]
    assert ("key.create", "local") == (first.kind, first.proof)
    assert "root" in {each.actor for each in everything.changes}


async def test_each_change_may_have_its_own_reason(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Over the connections of one client, from asyncio and from threads."""
    async with (
        running_registry(redis_url, namespace, tmp_path) as running,
        AsyncClient(registry=running.address, reason="usual") as client,
    ):
        await client.because("one").create_model("one")
        await client.create_model("two")
        with pytest.raises(ValueError, match="one line"):
            client.because("two\nlines")

        def blocking() -> None:
            with Client(registry=running.address) as other:
                other.because("three").create_model("three")

        await asyncio.to_thread(blocking)
        found = await client.audit(oldest_first=True)
    assert ["one", "usual", "three"] == [change.reason for change in found]


async def test_a_claim_is_called_one(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Where nobody has to prove anything, the log says that nothing was proved."""
    async with (
        running_registry(redis_url, namespace, tmp_path) as running,
        AsyncClient(registry=running.address, actor="ann") as client,
    ):
        await client.create_model("digits")
        (made,) = await client.audit()
    assert ("ann", "none", "", "") == (made.actor, made.proof, made.claim, made.reason)


@pytest.mark.parametrize("sent", ["x" * 501, "%0A", "two%0Alines", "%C3%BC" * 501])
async def test_a_reason_that_is_none_is_refused(
    redis_url: str, namespace: str, tmp_path: Path, sent: str
) -> None:
    """Too long, or of several lines: nothing is changed."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        reason = await reason_of(
            running.stub.CreateModel(
                pb.CreateModelRequest(model={"name": "models/digits"}),
                metadata=[("headrace-reason", sent)],
            )
        )
        listed = await running.stub.ListModels(pb.ListModelsRequest())
    assert "REASON_INVALID" == reason
    assert [] == list(listed.models)


async def test_a_client_refuses_such_a_reason_itself() -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match="at most 500"):
        AsyncClient(reason="x" * 501)


async def test_the_log_is_filtered(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """By model, actor, kind and time, newest first or oldest first, as many as are asked for."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        for actor in ("ann", "bob"):
            async with AsyncClient(registry=running.address, actor=actor) as client:
                for model in ("one", "two"):
                    await client.create_model(f"{model}-{actor}")
                    await client.update_model(f"{model}-{actor}", keep_latest=3)
        async with AsyncClient(registry=running.address) as client:
            whole = await client.audit(oldest_first=True)
            middle = whole[4].at

            async def revisions(**wanted: Any) -> list[int]:
                return [change.revision for change in await client.audit(**wanted)]

            assert [1, 2, 3, 4, 5, 6, 7, 8] == [change.revision for change in whole]
            assert [8, 7, 6] == await revisions(limit=3)
            assert [2, 1] == await revisions(model="one-ann")
            assert [7, 5, 3, 1] == await revisions(kind="model.create")
            assert [8, 7, 6, 5, 4, 3, 2, 1] == await revisions(kind="model")
            assert [] == await revisions(kind="mod")
            assert [8, 6] == await revisions(actor="bob", kind="model.update")
            assert [8, 7, 6, 5] == await revisions(since=middle)
            assert [4, 3, 2, 1] == await revisions(until=middle)


async def test_everybody_reads_the_changes_of_what_he_may_read(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Those of a model take the right to read it, all of them the right to administer."""
    async with secured_registry(redis_url, namespace, tmp_path) as secured:
        reader = await secured.key("rita", ("viewer", "digits"))
        for name in ("digits", "faces"):
            await secured.stub.CreateModel(
                pb.CreateModelRequest(model={"name": f"models/{name}"}),
                metadata=bearer(secured.admin),
            )

        async def told(key: str, **fields: Any) -> Any:
            call = secured.stub.ListChanges(pb.ListChangesRequest(**fields), metadata=bearer(key))
            return await reason_of(call) or [each.resource for each in (await call).changes]

        assert ["models/digits"] == await told(reader, model="models/digits")
        assert "PERMISSION_DENIED" == await told(reader, model="models/faces")
        assert "PERMISSION_DENIED" == await told(reader)
        assert "CREDENTIALS_MISSING" == await told("", model="models/digits")
        assert {"models/digits", "models/faces"} <= set(await told(secured.admin))
        stored = await secured.stub.ListChanges(
            pb.ListChangesRequest(model="models/digits", with_stored=True), metadata=bearer(reader)
        )
    assert [b""] == [each.stored for each in stored.changes]


async def test_the_chain_is_verified_and_exported(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Over the registry, and offline over a file; what was altered in the file is named."""
    export, altered, cut_short = (tmp_path / f"{name}.jsonl" for name in ("log", "altered", "cut"))
    async with open_shell(redis_url, namespace, tmp_path) as shell:
        made = await shell("model", "one", "--create", "--reason", WHY)
        await make(shell, "two", "three")
        shown, told, verified = await asyncio.gather(
            shell("audit"),
            shell("audit", "--model", "two", "--json"),
            shell("audit", "--verify", "--export", str(export)),
        )
        lines = export.read_text().splitlines(keepends=True)
        altered.write_text(lines[0] + lines[1].replace("two", "six") + lines[2])
        cut_short.write_text(lines[0] + lines[2])
        offline, wrong, cut = await asyncio.gather(
            shell("audit", "--verify", "--input", str(export)),
            shell("audit", "--verify", "--input", str(altered), "--json"),
            shell("audit", "--verify", "--input", str(cut_short)),
        )
    assert (0, 1) == (made.status, shown.output.count(WHY))
    assert [("models/two", "")] == [
        (each["resource"], each["reason"]) for each in told.document["changes"]
    ]
    assert "verified 3 changes, 1 to 3" in verified.output
    assert 0o600 == export.stat().st_mode & 0o777
    assert [1, 2, 3] == [json.loads(line)["entry"]["revision"] for line in lines]
    assert (0, True) == (offline.status, "verified 3 changes, 1 to 3" in offline.output)
    assert (1, False) == (wrong.status, wrong.document["verified"])
    assert wrong.document["breaks"][0].startswith("change 2 was altered: its hash was")
    assert "change 3 follows on another change 2" in wrong.document["breaks"][1]
    assert (1, True) == (
        cut.status,
        "change 3 comes after change 1: what was between" in cut.output,
    )


async def test_what_was_done_to_the_log_is_found(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Whoever can write to Redis leaves traces, unless he writes all anew: then a file of before tells."""
    export, changes = tmp_path / "log.jsonl", Keys(namespace).changes
    async with (
        open_shell(redis_url, namespace, tmp_path) as shell,
        open_redis(redis_url) as redis,
    ):
        await make(shell, "one", "two", "three")
        await shell("audit", "--export", str(export))
        kept: Any = await redis.xrange(changes)
        entries = [fields[CHANGE_FIELD] for _, fields in kept]
        await redis.delete(changes)
        entries[1] = b"{"
        for revision, entry in enumerate(entries[:2], 1):
            await redis.xadd(changes, {CHANGE_FIELD: entry}, id=f"{revision}-0")
        found, listed = await asyncio.gather(
            shell("audit", "--verify", "--against", str(export)), shell("audit")
        )
    assert (1, 0) == (found.status, listed.status)
    for broken in ("2 cannot be read", "2 is another than in", "3 to 3 are missing at the end"):
        assert broken in found.output
    assert "cannot be read" in listed.output


async def test_a_token_that_is_none_is_refused(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Pages go on where they gave a token for."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        for request in ({"page_token": "x"}, {"page_size": -1}, {"model": "digits"}):
            with pytest.raises(errors.InvalidArgument):
                raise await _refusal(running.stub.ListChanges(pb.ListChangesRequest(**request)))


async def _refusal(call: Any) -> errors.HeadraceError:
    from tests.rpc.registry_fixtures import error_of

    return await error_of(call)
