"""A suite with authentication: what its parts are told, and the keys that it makes for them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from headrace import errors
from headrace.local.commands import (
    MONITOR,
    REPLICA,
    SuiteOptions,
    monitor_command,
    registry_command,
    replica_command,
)
from headrace.local.suite_access import SuiteAccess, make_keys
from headrace.security.api_keys import digest_of
from headrace.state.access_inbox import posted
from tests.unit.headrace.local.test_commands import PEERS, flags

CHILDREN = (MONITOR, REPLICA)


def mode(path: Path) -> int:
    """The file's rights."""
    return stat.S_IMODE(path.stat().st_mode)


def test_every_part_asks_who_calls_and_those_that_call_have_keys() -> None:
    """No key is in an argument."""
    access = SuiteAccess(identity_file=Path("/etc/identity.toml"))
    options = SuiteOptions(Path("/data"), access=access)
    commands = {
        "registry": flags(registry_command(options, {})),
        "monitor": flags(monitor_command(options, {}, "127.0.0.1:8100")),
        "replica": flags(replica_command(options, 0, "replica-0", PEERS, {})),
    }
    for command in commands.values():
        assert ("on", "/etc/identity.toml") == (command["auth"], command["identity-file"])
    assert "token-file" not in commands["registry"]
    assert "/data/secrets/monitor.key" == commands["monitor"]["token-file"]
    assert "127.0.0.1:8100" == commands["monitor"]["registry-address"]
    assert "/data/secrets/replica.key" == commands["replica"]["token-file"]


def test_without_authentication_nothing_is_said_of_it() -> None:
    """As before there was any."""
    options = SuiteOptions(Path("/data"))
    for command in (registry_command(options, {}), monitor_command(options, {})):
        assert {"auth", "token-file", "registry-address"}.isdisjoint(flags(command))


def test_keys_are_made_anew_in_private_files(tmp_path: Path) -> None:
    """Their digests are left for the registry, with the word that they replace those before."""
    registry = tmp_path / "registry"
    make_keys(tmp_path, registry, SuiteAccess(), CHILDREN)
    first = (tmp_path / "secrets" / "replica.key").read_text().strip()
    make_keys(tmp_path, registry, SuiteAccess(), CHILDREN)
    second = (tmp_path / "secrets" / "replica.key").read_text().strip()
    left = {key.digest: key for _, key in posted(registry)}
    assert first != second
    assert 0o600 == mode(tmp_path / "secrets" / "replica.key")
    assert 0o700 == mode(tmp_path / "secrets")
    assert "headrace-replica" == left[digest_of(second)].subject
    assert all(key.replaces for key in left.values())
    assert 1 == len({key.note for key in left.values()})
    assert ["service"] == [grant.role for grant in left[digest_of(second)].grants]


def test_the_admins_key_is_made_once(tmp_path: Path) -> None:
    """A file that is there stays."""
    file = tmp_path / "admin.key"
    access = SuiteAccess(admin_key_file=file)
    make_keys(tmp_path, tmp_path / "registry", access, ())
    made = file.read_text()
    make_keys(tmp_path, tmp_path / "registry", access, ())
    assert made == file.read_text()
    assert 0o600 == mode(file)
    assert ["admin"] == [key.subject for _, key in posted(tmp_path / "registry")]


def test_a_folder_that_cannot_be_written_ends_the_start(tmp_path: Path) -> None:
    """With the reason."""
    (tmp_path / "secrets").write_text("in the way")
    with pytest.raises(errors.FailedPrecondition, match="keys cannot be kept"):
        make_keys(tmp_path, tmp_path / "registry", SuiteAccess(), CHILDREN)
