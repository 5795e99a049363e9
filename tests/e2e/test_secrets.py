"""Secrets given to a whole suite are found nowhere but in files that this account alone can read."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.redis_servers import ADMIN, PASSWORDS, running_server
from tests.secret_search import descendants, find_secrets
from tests.suite import read_ready_line, start_up, wait_for_end

pytestmark = pytest.mark.e2e
SECRETS = {"the password of Redis": ADMIN}


async def command_line(*arguments: str) -> str:
    """What the command line prints, on both of its streams."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headrace.cli", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return out.decode()


@pytest.mark.parametrize("given", ["by the URL", "by a file"])
async def test_no_secret_is_seen_from_outside(namespace: str, tmp_path: Path, given: str) -> None:
    """Command lines, environments of children, logs, the ready line, up.json, status: none has it.

    A URL with a password comes from the supervisor's own environment, which its children do not inherit.
    """
    data = tmp_path / "headrace"
    async with running_server(tmp_path / "redis", namespace) as server:
        url = f"redis://127.0.0.1:{server.port}"
        if given == "by the URL":
            environ = {"HEADRACE_REDIS_URL": url.replace("//", f"//default:{ADMIN}@")}
        else:
            file = str(tmp_path / "redis" / "admin-password")
            environ = {"HEADRACE_REDIS_URL": url, "HEADRACE_REDIS_PASSWORD_FILE": file}
        environ["HEADRACE_NAMESPACE"] = namespace
        log = tmp_path / "log"
        with log.open("wb") as stderr:
            process = await start_up(data, stderr=stderr.fileno(), environ=environ)
        try:
            ready = await read_ready_line(process)
            called = ("--registry", ready["registry"], "--monitor", ready["monitor"])
            texts = {
                "the ready line": json.dumps(ready),
                "up.json": (data / "up.json").read_text(),
                "status": await command_line(*called, "status"),
                "status as JSON": await command_line("--json", *called, "status"),
            }
            pids = descendants(process.pid)
            children = pids - {process.pid}
            found = find_secrets(SECRETS, pids=children, texts=texts, folders=[data])
            process.terminate()
            assert 0 == await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
            for pid in descendants(process.pid) - {process.pid}:
                await wait_for_end(pid)
        found += find_secrets(SECRETS, texts={"the log": log.read_text()}, folders=[data])
        left = [path for path in data.rglob("*") if path.is_file() and holds(path)]
    assert [] == found
    assert 3 <= len(children), "the search must have something to look at"
    assert [] == left, "what the suite wrote for its children goes with it"


def holds(path: Path) -> bool:
    """Return whether a file has one of the secrets."""
    return any(secret.encode() in path.read_bytes() for secret in SECRETS.values())


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """In a command line, in a text and in a file that others may read, and not in a private one."""
    canary = PASSWORDS["registry"]
    (tmp_path / "open").write_text(canary)
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "private").touch(0o600)
    (tmp_path / "private").write_text(canary)
    sleeping = [sys.executable, "-c", "input('here\\n')", canary]
    with subprocess.Popen(sleeping, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        found = find_secrets(
            {"it": canary}, pids=[process.pid], texts={"a text": canary}, folders=[tmp_path]
        )
        process.communicate(b"\n")
    expected = [f"cmdline of {process.pid}", "a text", f"{tmp_path}/open, which others may read"]
    assert [f"it in {place}" for place in expected] == found
