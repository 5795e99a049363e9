"""The replicas of one machine that share ports: who they are, and what callers have set on all of them.

They find one another in a folder. Each has a file there with its own addresses, and holds a lock in it for
as long as it can be called at the shared ports: a killed one is none any more. What callers set is kept
there as the call that set it; a replica that joins makes these calls before it can be called itself.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

import grpc
from grpc.aio import insecure_channel

from headrace import addresses, status
from headrace.errors import HeadraceError, Unavailable
from headrace.service.grpc_serving import MAX_MESSAGE_BYTES

logger = logging.getLogger(__name__)

CALL_SECONDS = 10.0
LONG_CALL_SECONDS = 900.0
"""For loading a model."""
TURNS = {"memory": 3 * CALL_SECONDS, "models": LONG_CALL_SECONDS, "settings": 3 * CALL_SECONDS}
"""What one caller at a time sets, on all replicas in the same order, and how long a turn is waited for."""
_POLL_SECONDS = 0.01
_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.use_local_subchannel_pool", 1),  # one that came back is called at once
    addresses.NO_PROXY,
]
_SILENCE = ("UNAVAILABLE", "DEADLINE_EXCEEDED")
"""The reasons that gRPC itself gives where nobody answers."""

Call = tuple[str, bytes]
"""A method's path, and its request."""


@dataclass(frozen=True, slots=True)
class Sibling:
    """A replica that shares our ports, and its own addresses."""

    id: str
    grpc_address: str
    metrics_address: str


class Siblings:
    """The replicas that share ports, as the one called `own` sees them. `open_siblings` opens it."""

    def __init__(self, folder: Path, own: Sibling) -> None:
        self.own = own
        self._members = folder / "members"
        self._kept = folder / "kept"
        self._turns = folder / "turns"
        self._membership: int | None = None
        for made in (self._members, self._kept, self._turns):
            made.mkdir(parents=True, exist_ok=True)

    def others(self) -> list[Sibling]:
        """Return those that can be called at the shared ports now, but for this one."""
        own = self._file_of(self.own)
        paths = [path for path in sorted(self._members.iterdir()) if path != own]
        found = (_read(path) for path in paths if _is_alive(path))
        return [sibling for sibling in found if sibling is not None]

    def _file_of(self, sibling: Sibling) -> Path:
        return self._members / quote(sibling.id, safe="")

    @asynccontextmanager
    async def turn(self, what: str) -> AsyncIterator[None]:
        """Be the only one that sets such things on all replicas while inside. Raises Unavailable."""
        descriptor = os.open(self._turns / what, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await self._wait_for(descriptor, TURNS[what])
            yield
        finally:
            os.close(descriptor)

    async def _wait_for(self, descriptor: int, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await _lock(descriptor)
        except TimeoutError:
            raise _unreachable("another replica") from None

    async def ask(
        self, method: str, request: bytes, seconds: float = CALL_SECONDS
    ) -> list[bytes | HeadraceError]:
        """The answers of all others, or what they refuse it with; those that end meanwhile have none."""
        others = self.others()
        answers = await asyncio.gather(
            *(self._call(other, method, request, seconds) for other in others)
        )
        return [answer for answer in answers if answer is not None]

    async def _call(
        self, sibling: Sibling, method: str, request: bytes, seconds: float
    ) -> bytes | HeadraceError | None:
        async with insecure_channel(sibling.grpc_address, options=_OPTIONS) as channel:
            call: Any = channel.unary_unary(method)
            try:
                answer: bytes = await call(request, timeout=seconds)
            except grpc.aio.AioRpcError as failed:
                error = status.error_from_rpc(failed)
                if error.reason not in _SILENCE:
                    return error
                hangs = _is_alive(self._file_of(sibling))
                return _unreachable(f"replica {sibling.id}") if hangs else None
        return answer

    def kept(self, key: str) -> bytes | None:
        """Return the request that is kept under a key."""
        try:
            return self._parts(self._kept / key)[1]
        except FileNotFoundError:
            return None

    def keep(self, key: str, method: str, request: bytes) -> None:
        """Keep a call for replicas that join later, in the place of what was under the key."""
        beside = self._kept / f".{uuid4().hex}"
        try:
            beside.write_bytes(method.encode() + b"\n" + request)
            beside.replace(self._kept / key)
        except OSError:
            logger.exception("a replica that starts later will not have what callers set")
            beside.unlink(missing_ok=True)

    def forget(self, prefix: str) -> None:
        """Keep nothing under keys that begin so any more."""
        for path in self._kept.glob(f"{prefix}*"):
            path.unlink(missing_ok=True)

    async def join(self) -> None:
        """Set what callers had set, and be one of those that are told of more until it `leave`s."""
        async with AsyncExitStack() as turns:
            for what in TURNS:
                await turns.enter_async_context(self.turn(what))
            for path in sorted(self._kept.glob("[!.]*")):
                await self._repeat(path)
            await self._become_member()

    async def _repeat(self, path: Path) -> None:
        method, request = self._parts(path)
        answer = await self._call(self.own, method, request, LONG_CALL_SECONDS)
        if isinstance(answer, HeadraceError):
            facts = {"what": path.name, "reason": answer.reason}
            logger.warning("what callers set is not set here: %s", answer.message, extra=facts)

    async def _become_member(self) -> None:
        path = self._file_of(self.own)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        await _lock(descriptor)  # whoever looks whether it is held holds it for a moment
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(_as_json(self.own)).encode())
        self._membership = descriptor

    def leave(self) -> None:
        """Be told of nothing more, unless it left before."""
        if self._membership is not None:
            self._file_of(self.own).unlink(missing_ok=True)
            os.close(self._membership)
            self._membership = None

    @staticmethod
    def _parts(path: Path) -> Call:
        method, _, request = path.read_bytes().partition(b"\n")
        return method.decode(), request


@asynccontextmanager
async def open_siblings(folder: Path, own: Sibling) -> AsyncIterator[Siblings]:
    """The siblings of a replica whose own gRPC port serves; it is one of them while inside."""
    siblings = Siblings(folder, own)
    await siblings.join()
    try:
        yield siblings
    finally:
        siblings.leave()


def _unreachable(who: str) -> HeadraceError:
    return Unavailable(
        "REPLICA_UNREACHABLE",
        f"{who} of this machine, which shares this port, does not answer; it may have what was asked "
        "for or not: repeat the call when it does, or end that replica",
    )


def _as_json(sibling: Sibling) -> Mapping[str, str]:
    return {"grpc": sibling.grpc_address, "metrics": sibling.metrics_address}


def _read(path: Path) -> Sibling | None:
    try:
        told = json.loads(path.read_bytes())
        return Sibling(unquote(path.name), told["grpc"], told["metrics"])
    except (OSError, ValueError):  # it has just left
        return None


def _is_alive(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


async def _lock(descriptor: int) -> None:
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        await asyncio.sleep(_POLL_SECONDS)  # whoever has it is another process
