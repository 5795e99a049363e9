"""The users of the chart's own Valkey, as a real server has them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from headrace.local.embedded_redis import find_server
from headrace.service.parent_death import tether
from headrace.state.redis_acl import acl_file
from tests.e2e.kubernetes.manifests import containers, manifests, needs_tools, of_kind, rendered

pytestmark = needs_tools

READY = "eady to accept connections"
SET = ("SET", "{headrace:default}:revision", "1")


@contextmanager
def server(folder: Path, users: str) -> Iterator[Path]:
    """The path of a server's socket; it has these users."""
    socket, file = folder / "s", folder / "users.acl"
    file.write_text(users)
    options = ["--port", "0", "--unixsocket", str(socket), "--aclfile", str(file), "--save", ""]
    command = [*tether(), str(find_server().path), *options]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert any(READY in line for line in process.stdout), "it ended at its start"
            yield socket
        finally:
            process.kill()


def test_users_may_do_what_headrace_needs_and_no_more(tmp_path: Path) -> None:
    """Without a password one may ping; replicas change nothing; the registry writes its own keys."""
    secret = of_kind(manifests(rendered("default")), "Secret")["redis"]["stringData"]
    with server(tmp_path, secret["users.acl"]) as socket:

        def client(name: str = "") -> Any:
            if not name:
                return redis.Redis(unix_socket_path=str(socket))
            password = secret[f"{name}-password"]
            return redis.Redis(
                unix_socket_path=str(socket), username=f"headrace-{name}", password=password
            )

        assert client().ping()
        with pytest.raises(redis.exceptions.NoPermissionError):
            client().execute_command("GET", SET[1])
        assert client("registry").execute_command(*SET)
        assert b"1" == client("replica").execute_command("GET", SET[1])
        with pytest.raises(redis.exceptions.NoPermissionError):
            client("replica").execute_command(*SET)
        with pytest.raises(redis.exceptions.NoPermissionError):
            client("registry").execute_command("SET", "other", "1")


def test_it_lets_other_pods_in() -> None:
    """A server in protected mode refuses all but its own machine where a user has no password."""
    arguments = containers(manifests(rendered("default")))["redis"]["args"]

    assert ("--protected-mode", "no") == tuple(arguments[:2])


@pytest.mark.parametrize("namespace", ["default", "blue"])
def test_users_are_those_of_the_command(namespace: str) -> None:
    """The chart has what `headrace redis-acl` prints, and a default user for probes."""
    found = manifests(rendered("default", f"--set=stateNamespace={namespace}"))
    secret = of_kind(found, "Secret")["redis"]["stringData"]
    passwords = {name: secret[f"{name}-password"] for name in ("registry", "replica")}
    _, *users = secret["users.acl"].splitlines()

    assert users == acl_file(namespace, "7.2", passwords).splitlines()
    named = of_kind(found, "ConfigMap")["redis"]["data"]
    assert [user.split()[1] for user in users] == [named["registry"], named["replica"]]
