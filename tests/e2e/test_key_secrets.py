"""Keys of a suite on the native front are in their own files and nowhere else, however they were used."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import aiohttp
import pytest

from headrace import errors
from headrace.client import AsyncClient
from headrace.client.settings import read_client_settings
from tests.e2e.models import scaling
from tests.e2e.traffic import push
from tests.secret_search import descendants, find_secrets
from tests.suite import read_ready_line, start_up, wait_for_end

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]


async def test_no_key_is_anywhere_but_in_its_file(tmp_path: Path) -> None:
    """Made, used, refused, rotated and revoked: no log, state, argument, environment or answer has one."""
    data, admin_key, key_file = tmp_path / "headrace", tmp_path / "admin.key", tmp_path / "web.key"
    log = tmp_path / "log"
    with log.open("wb") as stderr:
        flags = ["--auth", f"--admin-key-file={admin_key}", "--replicas=1", "--log-level=debug"]
        process = await start_up(data, *flags, stderr=stderr.fileno())
    try:
        ready = await read_ready_line(process)
        where = {name: ready[name] for name in ("registry", "monitor")}
        where["inference"] = ready["shared"]["grpc"]
        keys = {"the admin's": admin_key.read_text().strip()}
        keys |= {path.name: path.read_text().strip() for path in (data / "secrets").glob("*.key")}
        async with AsyncClient(
            settings=read_client_settings({}, token_file=admin_key, **where)
        ) as admin:
            await push(admin, "small", scaling(2.0))
            made = await admin.create_api_key("web", grants=["caller"])
            rotated = await admin.rotate_api_key(made.key.id, overlap_seconds=0)
            keys |= {"one that ended": made.secret, "one that was rotated to": rotated.secret}
            key_file.write_text(made.secret)
            async with AsyncClient(
                settings=read_client_settings({}, token_file=key_file, **where)
            ) as ended:
                with pytest.raises(errors.Unauthenticated):
                    await ended.infer("small", {"x": [[1, 2]]})
                with pytest.raises(errors.Unauthenticated):
                    await ended.models()
            texts = {
                "an answer over REST": await over_rest(ready["shared"]["http"], made.secret),
                "the ready line": json.dumps(ready),
                "up.json": (data / "up.json").read_text(),
            }
            called = ("--registry", where["registry"], "--monitor", where["monitor"])
            for command in ("status", "audit", "keys list", "grants", "whoami"):
                words = ("--json", *called, "--token-file", str(admin_key), *command.split())
                texts[command] = await command_line(*words)
                assert '"error"' not in texts[command], command
        pids = descendants(process.pid)
        found = find_secrets(keys, pids=pids, texts=texts, folders=[data])
        process.terminate()
        assert 0 == await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        for pid in descendants(process.pid) - {process.pid}:
            await wait_for_end(pid)
    found += find_secrets(keys, texts={"the log": log.read_text()})
    assert [] == found
    assert [] == [path for path in kept_in(data) if holds(path, keys.values())]
    assert 5 == len(keys)


async def command_line(*arguments: str) -> str:
    """What the command line prints, on both of its streams."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headrace.cli", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return out.decode()


def kept_in(data: Path) -> list[Path]:
    """All files of a suite but those of its own keys."""
    files = [path for path in data.rglob("*") if path.is_file()]
    return [path for path in files if path.parent.name != "secrets"]


def holds(path: Path, secrets: Iterable[str]) -> bool:
    """Return whether a file has one of the secrets."""
    content = path.read_bytes()
    return any(secret.encode() in content for secret in secrets)


async def over_rest(address: str, key: str) -> str:
    """What a call over REST with a key that ended is told, with all headers."""
    async with (
        aiohttp.ClientSession(headers={"authorization": f"Bearer {key}"}) as session,
        session.get(f"http://{address}/v2/models/small") as answer,
    ):
        assert 401 == answer.status
        return f"{answer.headers} {await answer.text()}"
