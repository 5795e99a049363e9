"""Secrets given to a whole suite are found nowhere but in files that this account alone can read."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from headrace.security.api_keys import make_key
from tests.certificates import Certificates, make_certificates
from tests.redis_servers import ADMIN, PASSWORDS, Server, running_server
from tests.rpc.registry_fixtures import onnx_file
from tests.secret_search import descendants, find_secrets
from tests.suite import read_ready_line, start_up

pytestmark = pytest.mark.e2e
WRONG_KEY = make_key()


@dataclass(frozen=True)
class Secured:
    """A suite with all that is secret: a password, keys, a certificate's key; and its log."""

    pid: int
    ready: Mapping[str, Any]
    data: Path
    log: Path
    token: Path
    certificates: Certificates

    def secrets(self) -> dict[str, str]:
        """All of them, by what they are."""
        keys = [*(self.data / "secrets").glob("*.key"), self.token]
        found = {f"the key in {file.name}": file.read_text().strip() for file in keys}
        pem = self.certificates.key.read_text().splitlines()
        return found | {
            "the password of Redis": ADMIN,
            "the password of a user of Redis": PASSWORDS["suite"],
            "the certificate's key": pem[1],
            "a key that is wrong": WRONG_KEY,
        }

    async def command(self, *arguments: str, token: Path | None = None) -> str:
        """What the command line prints, on both of its streams."""
        one = self.ready["gateway"]
        registry, monitor = one or self.ready["registry"], one or self.ready["monitor"]
        called = ("--registry", registry, "--monitor", monitor)
        trusted = ("--tls-ca", str(self.certificates.ca), "--token-file", str(token or self.token))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "headrace.cli", *called, *trusted, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.data.parent)},
        )
        out, _ = await process.communicate()
        return out.decode()

    async def page(self, address: str, path: str) -> str:
        """What a page says, to the admin."""
        context = ssl.create_default_context(cafile=str(self.certificates.ca))
        headers = {"Authorization": f"Bearer {self.token.read_text().strip()}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"https://{address}{path}", ssl=context) as answer,
        ):
            return await answer.text()


@asynccontextmanager
async def secured_suite(
    server: Server, tmp_path: Path, environ: Mapping[str, str], more: Sequence[str] = ()
) -> AsyncIterator[Secured]:
    """A suite while inside; its log is whole afterwards."""
    data, log, token = tmp_path / "headrace", tmp_path / "log", tmp_path / "admin.key"
    made = make_certificates(tmp_path / "certificates")
    flags = [
        *more,
        *("--auth", f"--admin-key-file={token}", "--log-level=debug"),
        *(f"--tls-cert={made.cert}", f"--tls-key={made.key}", f"--tls-ca={made.ca}"),
    ]
    named = {**environ, "HEADRACE_NAMESPACE": server.namespace}
    with log.open("wb") as stderr:
        process = await start_up(data, *flags, stderr=stderr.fileno(), environ=named)
    try:
        ready = await read_ready_line(process)
        yield Secured(process.pid, ready, data, log, token, made)
        process.terminate()
        assert 0 == await process.wait(), log.read_text()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def said(suite: Secured) -> dict[str, str]:
    """What the suite says to those who ask."""
    model, wrong = suite.data.parent / "model.onnx", suite.data.parent / "wrong.key"
    await asyncio.to_thread(model.write_bytes, onnx_file())
    wrong.touch(0o600)
    wrong.write_text(WRONG_KEY)
    pages = {
        f"{path} of {name}": await suite.page(suite.ready[name], path)
        for name in ("registry_http", "monitor_http")
        for path in ("/readyz", "/metrics")
    }
    pages |= {
        "the ready line": json.dumps(suite.ready),
        "up.json": (suite.data / "up.json").read_text(),
        "push": await suite.command("push", "digits", str(model), "--wait", "--reason", "a try"),
    }
    asked = {
        "status": suite.command("status"),
        "status as JSON": suite.command("status", "--json"),
        "audit": suite.command("audit", "--json"),
        "keys": suite.command("keys", "list", "--json"),
        "a refusal": suite.command("models", token=wrong),
        "a refusal as JSON": suite.command("models", "--json", token=wrong),
    }
    return pages | dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))


@pytest.mark.parametrize(
    "given",
    ["by the URL", pytest.param("by a file, behind a gateway", marks=pytest.mark.toolchain)],
)
async def test_no_secret_is_seen_from_outside(namespace: str, tmp_path: Path, given: str) -> None:
    """Command lines, environments of children, logs, pages, up.json, status, Redis: none has it.

    A URL with a password comes from the supervisor's own environment, which its children do not inherit.
    """
    async with running_server(tmp_path / "redis", namespace) as server:
        url = f"redis://127.0.0.1:{server.port}"
        if given == "by the URL":
            environ = {"HEADRACE_REDIS_URL": url.replace("//", f"//default:{ADMIN}@")}
            more = []
        else:
            user, file = f"headrace-{namespace}-suite", str(server.password_file("suite"))
            url = url.replace("//", f"//{user}@")
            environ = {"HEADRACE_REDIS_URL": url, "HEADRACE_REDIS_PASSWORD_FILE": file}
            more = ["--gateway"]
        async with secured_suite(server, tmp_path, environ, more) as suite:
            texts, secrets = await said(suite), suite.secrets()
            children = descendants(suite.pid) - {suite.pid}
            found = find_secrets(secrets, pids=children, texts=texts, folders=[suite.data])
            async with server.admin() as admin:
                refused = await admin.send("ACL", "LOG")
        texts |= {"the log": suite.log.read_text()}
        kept = b"".join(file.read_bytes() for file in (server.folder / "appendonlydir").iterdir())
        in_redis = [name for name, secret in secrets.items() if secret.encode() in kept]
        found += find_secrets(secrets, texts=texts, folders=[suite.data])
    assert [] == found
    assert [] == in_redis
    assert [] == refused, "the user of the suite may do what it does"
    assert 6 <= len(secrets), "the search must have something to look for"
    assert 3 <= len(children), "and something to look at"
    assert "version 1 of digits is served" in texts["push"]
    assert "API_KEY_INVALID" in texts["a refusal"]
    assert '"reason": "a try"' in texts["audit"].replace('":"', '": "')
    left = [path for path in suite.data.rglob("*") if path.is_file() and ADMIN in _text(path)]
    assert [] == left, "what the suite wrote for its children goes with it"


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")


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
