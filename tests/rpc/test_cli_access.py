"""The commands of access and profiles, against a real registry."""

from __future__ import annotations

import asyncio
import io
import json
import shlex
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from headrace.cli import app
from headrace.cli.key_files import warn_if_others_read
from headrace.registry.v1 import access_service_pb2 as pb
from headrace.security.api_keys import digest_of, id_of, make_key
from headrace.security.rights_file import read_rights_file
from tests.rpc.registry_fixtures import RunningRegistry, running_registry
from tests.rpc.test_registry_access import access


class Ended(NamedTuple):
    """A command that has ended."""

    status: int
    output: str
    error: str

    @property
    def document(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.output)


class Commands:
    """Runs commands in this process, in a thread, as a person would against one registry."""

    def __init__(self, running: RunningRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
        self.running = running
        self._monkeypatch = monkeypatch

    async def __call__(self, *arguments: str, stdin: str = "", address: bool = True) -> Ended:
        """A command's end."""
        where = ("--registry", self.running.address) if address else ()
        output, error = io.StringIO(), io.StringIO()
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with redirect_stdout(output), redirect_stderr(error):
            status = await asyncio.to_thread(app.run, [*where, *arguments])
        return Ended(status, output.getvalue(), error.getvalue())


Open = Callable[[], Any]


@pytest.fixture
def commands(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Open:
    """Opens a registry and commands against it; profiles are in the test's folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("PROFILE", "REGISTRY", "TOKEN_FILE"):
        monkeypatch.delenv(f"HEADRACE_{name}", raising=False)

    @asynccontextmanager
    async def opened() -> AsyncIterator[Commands]:
        async with running_registry(redis_url, namespace, tmp_path / "registry") as running:
            yield Commands(running, monkeypatch)

    return opened


async def test_a_key_is_printed_alone_and_once(commands: Open) -> None:
    """So that `> file` keeps it; all else goes to standard error, and no list shows it."""
    async with commands() as run:
        made = await run("keys", "create", "alice", "--role", "caller", "--models", "fraud-*")
        listed = await run("keys", "list")
        granted = await run("grants", "alice", "--json")
        rotated = await run("keys", "rotate", id_of(made.output.strip()), "--overlap", "1h")
        revoked = await run("keys", "revoke", id_of(rotated.output.strip()), "--json")
        as_json = await run("keys", "create", "bob", "--ttl", "90d", "--json")
    secret = made.output.strip()
    assert made.output == f"{secret}\n"
    assert id_of(secret) in made.error
    assert secret not in made.error + listed.output
    assert [id_of(secret), "alice", "live"] == listed.output.splitlines()[1].split()[:3]
    assert [{"role": "caller", "models": ["fraud-*"]}] == granted.document["bindings"][0]["grants"]
    assert id_of(rotated.output.strip()) not in ("", id_of(secret))
    assert revoked.document["revoked"] is True
    assert id_of(as_json.document["secret"]) == as_json.document["key"]["id"]
    assert as_json.document["key"]["expires_at"] > as_json.document["key"]["created_at"]


async def test_roles_are_set_granted_and_revoked(commands: Open) -> None:
    """A role that somebody has stays; limits that are not named stay as they are."""
    async with commands() as run:
        role = await run("roles", "set", "team", "infer,read:fraud-*", "push:fraud-new")
        listed = await run("roles", "list")
        first = await run("grant", "corp:ada", "team", "--limit-requests", "5")
        second = await run("grant", "corp:ada", "--limit-in-flight", "3", "--json")
        kept = await run("roles", "delete", "team")
        gone = await run("revoke", "corp:ada", "team")
        deleted = await run("roles", "delete", "team")
        nothing = await run("grant", "corp:ada")
    assert "team allows read,infer:fraud-*" in role.output.replace("infer,read", "read,infer")
    assert "admin" in listed.output.splitlines()[1]
    assert "corp:ada has team for *" in first.output
    assert {"requests_per_second": 5.0, "rows_per_second": 0.0, "in_flight": 3} == (
        second.document["limits"]
    )
    assert (1, True) == (kept.status, "ROLE_IN_USE" in kept.error)
    assert "corp:ada may ask" in gone.output
    assert (0, 0, 2) == (gone.status, deleted.status, nothing.status)


async def test_a_role_for_some_models_is_widened_where_that_is_said(commands: Open) -> None:
    """Setting limits beside the role's name leaves its models alone, and says how to set them."""
    async with commands() as run:
        await run("grant", "web", "caller", "--models", "fraud-*")
        refused = await run("grant", "web", "caller", "--limit-requests", "5")
        narrow = await run("grants", "web")
        wide = await run("grant", "web", "caller", "--models", "*")
        again = await run("grant", "web", "caller", "--limit-requests", "5")
    assert (2, True) == (refused.status, "without a ROLE, limits alone are set" in refused.error)
    assert ("fraud-*", False) == (narrow.output.split()[-1], "requests" in narrow.output)
    assert (0, 0) == (wide.status, again.status)
    assert "web has caller for *" in again.output


async def test_the_first_key_is_made_without_a_server(commands: Open, tmp_path: Path) -> None:
    """It is left in the registry's folder, and taken in while it runs; a custom role is not known there."""
    async with commands() as run:
        made = await run("keys", "create", "root", "--admin", "--data", str(tmp_path))
        early = await run("keys", "create", "root", "--admin", "--data", str(tmp_path / "new"))
        unknown = await run("keys", "create", "x", "--role", "team", "--data", str(tmp_path))
        async for told in access(run.running).WatchRights(pb.WatchRightsRequest()):
            if told.keys:
                break
    assert [id_of(made.output.strip())] == [key.id for key in told.keys]
    assert ["root"] == [binding.subject for binding in told.bindings]
    assert ("headrace up --auth" in made.error, "headrace up --auth" in early.error) == (
        False,
        True,
    )
    assert 1 == len(list((tmp_path / "new" / "registry").rglob("*.json")))
    assert (2, True) == (unknown.status, "built-in roles" in unknown.error)


async def test_a_key_goes_into_a_rights_file(commands: Open, tmp_path: Path) -> None:
    """Its digest does, with its grants; what such a file does not keep is refused, not dropped."""
    file = tmp_path / "rights.toml"
    async with commands() as run:
        made = await run("keys", "create", "web", "--role", "caller", "--rights-file", str(file))
        noted = await run("keys", "create", "x", "--note", "y", "--rights-file", str(file))
        unknown = await run("keys", "create", "x", "--role", "team", "--rights-file", str(file))
    rights = read_rights_file(file)

    assert ["web"] == [key.subject for key in rights.keys.values()]
    assert digest_of(made.output.strip()) in rights.keys
    assert (2, True) == (noted.status, "--rights-file" in noted.error)
    assert (2, True) == (unknown.status, "no role 'team'" in unknown.error)


async def test_a_login_is_kept_and_used(commands: Open, tmp_path: Path) -> None:
    """Address and key are in private files; the key is shown by nothing."""
    config = tmp_path / "config" / "headrace"
    async with commands() as run:
        secret = (await run("keys", "create", "alice")).output.strip()
        logged_in = await run("login", "--name", "team", stdin=f"{secret}\n")
        used = await run("models", "--json", address=False)
        shown = await run("profile", "show", address=False)
        listed = await run("profile", "list", "--json", address=False)
        named = await run("--profile", "none", "models", address=False)
        empty = await run("login", stdin="\n")
        files = {path.name: path.stat().st_mode for path in config.rglob("*") if path.is_file()}
        text = (config / "profiles.toml").read_text()
        kept = (config / "keys" / "team.key").read_text()
        deleted = await run("profile", "delete", "team", address=False)
    assert (0, 0) == (logged_in.status, used.status)
    assert {"models": []} == used.document
    assert run.running.address in shown.output
    assert "team" == listed.document["current"]
    assert secret not in shown.output + listed.output + logged_in.output + text
    assert kept == f"{secret}\n"
    assert {"profiles.toml", "team.key"} == set(files)
    assert {0o600} == {stat.S_IMODE(mode) for mode in files.values()}
    assert (1, True) == (named.status, "PROFILE_NOT_FOUND" in named.error)
    assert (2, 0) == (empty.status, deleted.status)
    assert not (config / "keys" / "team.key").exists()


async def test_the_current_profile_is_for_its_own_suite(
    commands: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key is not sent to an address that an option or the environment names."""
    async with commands() as run:
        key = tmp_path / "alice.key"
        key.write_text((await run("keys", "create", "alice")).output)
        await run("login", "--token-file", str(key))
        key.unlink()  # a call that brought the key would fail now
        elsewhere = await run("models")
        monkeypatch.setenv("HEADRACE_REGISTRY", run.running.address)
        by_environment = await run("models", address=False)
        named = await run("--profile", "default", "models", address=False)
        away = await run("models", "--registry", "127.0.0.1:1", address=False)
    assert (0, 0) == (elsewhere.status, by_environment.status)
    assert (1, True) == (named.status, "TOKEN_FILE_UNUSABLE" in named.error)
    assert (3, True) == (away.status, "--profile default takes it" in away.error)
    assert "takes it" not in named.error


async def test_a_caller_is_shown_to_himself(commands: Open) -> None:
    """Where nobody is asked, that is said; an empty list leads there, as it may be for want of rights."""
    async with commands() as run:
        told = await run("whoami")
        models = await run("models")
    assert "asks nobody" in told.output
    assert "`headrace whoami`" in models.output


async def test_keys_that_nobody_is_asked_for_are_warned_of(
    commands: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """At a start without authentication where somebody made keys: a forgotten flag opens everything."""
    async with commands() as run:
        await run("keys", "create", "alice")
    first = "nobody is asked for one" in caplog.text
    async with commands():
        pass
    assert (False, True) == (first, "nobody is asked for one" in caplog.text)


async def test_a_key_file_that_others_may_read_is_warned_of(commands: Open, tmp_path: Path) -> None:
    """Once, on standard error, with what closes it; links are of whoever mounts the file."""
    file = tmp_path / "alice's key"
    file.write_text(make_key() + "\n")
    told = []
    async with commands() as run:
        for mode in (0o600, 0o640, 0o604):
            file.chmod(mode)
            warn_if_others_read.cache_clear()
            told.append((await run("models", "--token-file", str(file))).error)
        again = await run("models", "--token-file", str(file))
        link = tmp_path / "link"
        link.symlink_to(file)
        linked = await run("models", "--token-file", str(link))
        warn_if_others_read.cache_clear()
        for_programs = await run("models", "--token-file", str(file), "--json")
    closed, group, everybody = (text.count("warning: others may read the key") for text in told)
    assert (0, 1, 1) == (closed, group, everybody)
    assert f"chmod 600 {shlex.quote(str(file))}" in told[1]
    assert ("", "", "") == (again.error, linked.error, for_programs.error)
