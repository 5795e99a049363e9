"""Redis-protocol servers over TCP, with ACL users and TLS: the embedded Valkey, and Redis where it is."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from headrace.local import embedded_redis
from headrace.service.parent_death import tether
from headrace.state.connection import Redis, open_redis
from headrace.state.redis_acl import Release, acl_file
from headrace.state.redis_server import RedisServer
from tests.certificates import Certificates

START_SECONDS = 20.0
ADMIN = "canary-admin-7d1f"
REGISTRY = "canary-registry-93ab"
REPLICA = "canary-replica-c04e"
SUITE = "canary-suite-1b7a"
PASSWORDS: Mapping[str, str] = {"registry": REGISTRY, "replica": REPLICA, "suite": SUITE}


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs: its port, its folder, and the users that it knows."""

    port: int
    folder: Path
    release: Release
    namespace: str
    certificates: Certificates | None = None

    def called_by(self, user: str) -> RedisServer:
        """What a service calls it with: the user `registry` or `replica`, its password in a file."""
        prefix = "headrace" if self.namespace == "default" else f"headrace-{self.namespace}"
        return self._server(f"{prefix}-{user}", self.password_file(user))

    def password_file(self, user: str) -> Path:
        """The file with the password of one of the users."""
        return self.folder / f"{user}-password"

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[Redis]:
        """A client that may do all."""
        async with open_redis(self._server("default", self.folder / "admin-password")) as client:
            yield client

    def settings(self, user: str) -> dict[str, Any]:
        """The settings of a service for this server."""
        server = self.called_by(user)
        return {"redis_url": server.url, **server.files()}

    def flags(self, user: str) -> list[str]:
        """The same as flags."""
        server = self.called_by(user)
        files = {name: path for name, path in server.files().items() if path}
        named = {"redis_url": server.url, **files}
        return [f"--{name.replace('_', '-')}={value}" for name, value in named.items()]

    def _server(self, user: str, password_file: Path) -> RedisServer:
        scheme, certificates = "redis", self.certificates
        if certificates is None:
            return RedisServer(f"{scheme}://{user}@127.0.0.1:{self.port}", None, password_file)
        return RedisServer(
            f"rediss://{user}@localhost:{self.port}",
            None,
            password_file,
            certificates.ca,
            certificates.cert,
            certificates.key,
        )


def server_binary(release: Release) -> Path:
    """The embedded Valkey, or the Redis 7.0 of Debian, where it is; else the test is skipped."""
    if release == "7.2":
        return embedded_redis.find_server().path
    found = shutil.which("redis-server")
    said = subprocess.run([found, "--version"], capture_output=True, text=True) if found else None  # noqa: PLW1510
    if not found or said is None or "v=7.0" not in said.stdout:
        pytest.skip("no redis-server 7.0: apt-get install redis-server on Debian 12")
    return Path(found)


@asynccontextmanager
async def running_server(
    folder: Path,
    namespace: str,
    release: Release = "7.2",
    certificates: Certificates | None = None,
) -> AsyncIterator[Server]:
    """A server with the users that `headrace redis-acl` prints, and an administrator; by TLS if so."""
    binary = server_binary(release)
    _write_users(folder, acl_file(namespace, release, PASSWORDS))
    with (
        socket.socket() as held
    ):  # bound and not listening: nobody else is given this port meanwhile
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with (folder / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *tether(),
                *_command(binary, folder, port, certificates),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            server = Server(port, folder, release, namespace, certificates)
            await _until_it_answers(process, server)
            yield server
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def _write_users(folder: Path, users: str) -> None:
    """Write the ACL file, and the files with the users' passwords."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "users.acl").write_text(f"user default on >{ADMIN} ~* &* +@all\n{users}")
    for name, password in {**PASSWORDS, "admin": ADMIN}.items():
        file = folder / f"{name}-password"
        file.touch(0o600)
        file.write_text(f"{password}\n")


def _command(binary: Path, folder: Path, port: int, certificates: Certificates | None) -> list[str]:
    options = {"bind": "127.0.0.1", "port": str(port), "dir": str(folder), "save": ""}
    options |= {"appendonly": "yes", "aclfile": str(folder / "users.acl")}
    if certificates:
        options |= {"port": "0", "tls-port": str(port), "tls-auth-clients": "yes"}
        options |= {"tls-ca-cert-file": str(certificates.ca)}
        options |= {"tls-cert-file": str(certificates.cert), "tls-key-file": str(certificates.key)}
    return [str(binary), *(part for name in options for part in (f"--{name}", options[name]))]


async def _until_it_answers(process: asyncio.subprocess.Process, server: Server) -> None:
    async with asyncio.timeout(START_SECONDS):
        while not await _answers(server):
            assert process.returncode is None, (server.folder / "log").read_text()
            await asyncio.sleep(0.02)


async def _answers(server: Server) -> bool:
    """Return whether the server takes a connection and says anything."""
    certificates, context = server.certificates, None
    if certificates:
        context = ssl.create_default_context(cafile=str(certificates.ca))
        context.load_cert_chain(certificates.cert, certificates.key)
    try:
        reader, writer = await asyncio.open_connection("localhost", server.port, ssl=context)
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return (await reader.readline()).startswith(b"-NOAUTH")
    except OSError:
        return False
    finally:
        writer.close()
