"""The whole suite: the Redis server, then registry and monitor, then the replicas; stopped backwards."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from headrace import addresses
from headrace.local import embedded_redis
from headrace.local.child import Addresses, Running, kill_group, open_child
from headrace.local.child_supervisor import ChildSupervisor, supervised
from headrace.local.commands import (
    MONITOR,
    REDIS,
    REGISTRY,
    REPLICA,
    SHARED,
    SuiteOptions,
    monitor_command,
    registry_command,
    replica_command,
    replica_name,
    state_environ,
    suite_gateway_command,
)
from headrace.local.front import check_front
from headrace.local.gateway_child import GATEWAY, LONGEST_SOCKET
from headrace.local.ports import check_ports
from headrace.local.shared_ports import kept_ports
from headrace.local.suite_access import SECRETS, make_keys
from headrace.service.folder_lock import hold_folder
from headrace.service.private_files import make_private, write_private
from headrace.service.socket_folders import private_folder
from headrace.state.redis_server import RedisServer

logger = logging.getLogger(__name__)

STATUS_FILE = "up.json"
"""In the data folder while the suite is up: what the ready line says, kept up to date."""

LOCK_NAME = "lock"
REDIS_SECRET = "redis-password"  # noqa: S105  # a file's name
"""In the data folder while the suite is up, where the Redis URL has a password."""
OWN_FILES = (
    *(LOCK_NAME, REDIS_SECRET, "up.*", "redis", "registry", "monitor", "replica-*"),
    *(SHARED, GATEWAY, SECRETS),
)
"""What a suite has in its data folder."""


def write_status(file: Path, status: dict[str, Any]) -> None:
    """Replace the file by what is so now. A full disk is no reason to end what runs."""
    new = file.with_suffix(".new")
    try:
        new.write_text(json.dumps(status) + "\n")
        new.replace(file)
    except OSError as error:
        logger.warning("the suite's status file is old: %s", error, extra={"file": str(file)})


class Suite:
    """The children of one suite, and what they are at the moment. `running` runs them."""

    def __init__(self, options: SuiteOptions) -> None:
        self.options = options
        self.redis = options.redis
        self._ready = False
        self._live: dict[str, int] = {}
        self._shared: Mapping[str, int] = {}
        self._redis: list[ChildSupervisor] = []
        self._registry = ChildSupervisor(REGISTRY, self._open_registry, self._changed)
        self._monitor = ChildSupervisor(MONITOR, self._open_monitor, self._changed)
        self._replicas = [
            ChildSupervisor(replica_name(index), partial(self._open_replica, index), self._changed)
            for index in range(options.replicas)
        ]
        self._gateway = (
            [ChildSupervisor(GATEWAY, self._open_gateway, self._changed)] if options.gateway else []
        )

    @property
    def status_file(self) -> Path:
        """The file that tells other programs what runs here."""
        return self.options.data / STATUS_FILE

    def as_json(self) -> dict[str, Any]:
        """Return where everything is: the addresses, which stay, and the process ids, which may change."""
        return {
            "ready": self._ready,
            "auth": self.options.access is not None,
            "tls": self.options.tls and self.options.tls.as_json(),
            "registry": self._registry.addresses["grpc"],
            "registry_http": self._registry.addresses["http"],
            "shared": self._called_at(),
            "inference": [{**child.addresses, "pid": child.pid} for child in self._replicas],
            "gateway": self._gateway[0].addresses["edge"] if self._gateway else None,
            "gateway_http": self._gateway[0].addresses["http"] if self._gateway else None,
            "monitor": self._monitor.addresses["grpc"],
            "monitor_http": self._monitor.addresses["http"],
            "redis_url": self.redis.address if self.redis else "",
            "pids": self._pids(),
        }

    def _called_at(self) -> Addresses:
        """Return where the replicas are called, whichever answers; of one that is alone its own."""
        if self._gateway and self._replicas:
            edge = self._gateway[0].addresses["edge"]
            return {**self._replicas[0].addresses, "grpc": edge, "http": edge}
        if self._shared:
            host = self.options.host
            return {kind: addresses.join(host, port) for kind, port in self._shared.items()}
        return self._replicas[0].addresses if self._replicas else {}

    def _pids(self) -> dict[str, int]:
        children = [*self._redis, self._registry, self._monitor, *self._replicas, *self._gateway]
        return {child.name: child.pid for child in children if child.pid is not None}

    def kill(self) -> None:
        """End every child at once, without a drain."""
        for pid in self._live.values():
            kill_group(pid)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the children while inside; all are ready, and the shared state is there, when this yields.

        Until it is, the registry's log says what is wrong, for all of them. Each tier needs the one
        before it, so it starts after that and stops before it.
        """
        check_front(self.options)
        async with AsyncExitStack() as stack:
            stack.enter_context(hold_folder(self.options.data, LOCK_NAME, "a suite"))
            check_ports(self.options)
            if self.options.tls is not None:
                tls = self.options.tls.rehearsed_at(self.options.host)
                self.options = replace(self.options, tls=tls)
            make_private(self.options.data, OWN_FILES)
            if self.options.gateway is not None:
                opening = private_folder("up", self.options.data, LONGEST_SOCKET)
                folder = stack.enter_context(opening)
                gateway = replace(self.options.gateway, folder=folder)
                self.options = replace(self.options, gateway=gateway)
            self._shared = stack.enter_context(kept_ports(self.options))
            # What callers had set, and who was there, is of the suite's former life.
            shutil.rmtree(self.options.data / SHARED, ignore_errors=True)
            given = self.redis
            if given is None:
                await self._enter_redis(stack)
            else:
                self.redis = stack.enter_context(_secret_in_file(given, self.options.data))
            for tier in self._first_tiers():
                await stack.enter_async_context(supervised(tier))
            if given is not None:
                await _wait_until_reachable(given)
            await stack.enter_async_context(supervised(self._replicas))
            await stack.enter_async_context(supervised(self._gateway))
            stack.callback(self.status_file.unlink, missing_ok=True)
            self._ready = True
            self._changed()
            yield

    def _first_tiers(self) -> list[list[ChildSupervisor]]:
        """Registry and monitor: together, or in turn where the registry's address is not known before.

        The monitor calls it, and does not wait for it but where that has to say who may do what.
        """
        access = self.options.access
        if access is None and self.options.registry_port:
            return [[self._registry, self._monitor]]
        if access is None:
            return [[self._registry], [self._monitor]]
        data = self.options.data
        children = (MONITOR, REPLICA, *((GATEWAY,) if self.options.gateway else ()))
        make_keys(data, data / REGISTRY, access, children)
        return [[self._registry], [self._monitor]]

    async def _enter_redis(self, stack: AsyncExitStack) -> None:
        binary = embedded_redis.find_server()
        location = stack.enter_context(embedded_redis.open_location(self.options.data))
        self.redis = RedisServer(location.url)
        self._redis = [
            ChildSupervisor(REDIS, partial(self._open_redis, binary, location), self._changed)
        ]
        await stack.enter_async_context(supervised(self._redis))

    def _changed(self) -> None:
        if self._ready:
            write_status(self.status_file, self.as_json())

    @asynccontextmanager
    async def _open_redis(
        self, binary: embedded_redis.ServerBinary, location: embedded_redis.Location, _: Addresses
    ) -> AsyncIterator[Running]:
        try:
            async with embedded_redis.open_server_process(binary, location) as process:
                self._live[REDIS] = process.pid
                yield Running(process, {"url": location.url})
        finally:
            self._live.pop(REDIS, None)

    def _open_registry(self, before: Addresses) -> AbstractAsyncContextManager[Running]:
        return self._open(REGISTRY, registry_command(self.options, before))

    def _open_monitor(self, before: Addresses) -> AbstractAsyncContextManager[Running]:
        planned = addresses.join(self.options.host, self.options.registry_port)
        registry = self._registry.addresses.get("grpc", planned)
        return self._open(MONITOR, monitor_command(self.options, before, registry))

    def _open_gateway(self, before: Addresses) -> AbstractAsyncContextManager[Running]:
        return open_child(
            GATEWAY,
            suite_gateway_command(self.options, before),
            self._live,
            grace_seconds=self.options.stop_seconds,
        )

    def _open_replica(self, index: int, before: Addresses) -> AbstractAsyncContextManager[Running]:
        peers = {
            REGISTRY: self._registry.addresses["grpc"],
            MONITOR: self._monitor.addresses["grpc"],
        }
        replica_id = self._replica_id(index)
        command = replica_command(self.options, index, replica_id, peers, before, self._shared)
        return self._open(replica_name(index), command)

    def _replica_id(self, index: int) -> str:
        """The same at every start of the replica, and nobody else's in the same shared state."""
        if self.options.redis is None:
            return replica_name(index)
        return f"{socket.gethostname()}-{os.getpid()}-{replica_name(index)}"

    def _open(self, name: str, command: list[str]) -> AbstractAsyncContextManager[Running]:
        return open_child(
            name,
            command,
            self._live,
            grace_seconds=self.options.stop_seconds,
            environ=state_environ(self.redis) if self.redis else {},
        )


@contextmanager
def _secret_in_file(redis: RedisServer, data: Path) -> Iterator[RedisServer]:
    """The server with its password in a file of our own while inside, where its URL had it."""
    if not redis.has_password_in_url:
        yield redis
        return
    logger.warning(
        "the URL of the Redis server has a password, which may be seen where commands and environments "
        "are listed: give it by --redis-password-file"
    )
    file = data / REDIS_SECRET
    try:
        write_private(file, redis.credentials()[1])
        yield redis.without_secret(file)
    finally:
        file.unlink(missing_ok=True)


async def _wait_until_reachable(redis: RedisServer) -> None:
    """Wait for a server that is not ours; the client library is paid for by those who have one."""
    from headrace.state.reachable import wait_until_reachable

    await wait_until_reachable(redis)
