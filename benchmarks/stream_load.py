"""Sends generations over HTTP and notes when each of their pieces comes, at as little cost as possible.

One thread and a selector; nothing of a piece is decoded but where its event ends.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_EVENT_END = b"\n\n"
_DONE = b"data: [DONE]"
_SILENT_SECONDS = 120.0
"""After so long without anything a server is taken for dead."""


@dataclass(slots=True)
class Generation:
    """One generation: when it is sent, and when its pieces came, in seconds of `perf_counter`."""

    body: bytes
    at: float = 0.0
    sent: float = 0.0
    times: list[float] = field(default_factory=list)
    ended: float = 0.0
    tail: bytes = b""
    status: bytes = b""

    @property
    def first(self) -> float:
        """Return how long its first piece took."""
        return self.times[0] - self.sent

    def gaps(self) -> Iterator[float]:
        """Yield the times between its pieces."""
        for before, after in zip(self.times, self.times[1:], strict=False):
            yield after - before


def completion(model: str, prompt: Sequence[int] | str, max_tokens: int) -> bytes:
    """Write a request of OpenAI's that streams a greedy answer of exactly so many tokens."""
    return json.dumps(
        {
            "model": model,
            "prompt": prompt if isinstance(prompt, str) else list(prompt),
            "max_tokens": max_tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
        }
    ).encode()


def run(address: str, generations: Sequence[Generation]) -> float:
    """Send each at its time (seconds from now) on a connection of its own; how long all of it took.

    Raises RuntimeError where one is not answered to its end.
    """
    host, _, port = address.rpartition(":")
    waiting = sorted(generations, key=lambda each: -each.at)
    running = 0
    with selectors.DefaultSelector() as selector:
        began = time.perf_counter()
        while waiting or running:
            now = time.perf_counter() - began
            while waiting and waiting[-1].at <= now:
                _send(selector, host, int(port), waiting.pop())
                running += 1
            patience = max(0.0, waiting[-1].at - now) if waiting else _SILENT_SECONDS
            events = selector.select(patience)
            if not events and not waiting:
                raise RuntimeError(f"nothing came for {_SILENT_SECONDS:g} s")
            came = time.perf_counter()
            for key, _ in events:
                if _took(key.fileobj, key.data, came):  # type: ignore[arg-type]  # they are sockets
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
                    running -= 1
        return time.perf_counter() - began


def _send(selector: selectors.BaseSelector, host: str, port: int, generation: Generation) -> None:
    connection = socket.create_connection((host, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    length = f"Content-Length: {len(generation.body)}\r\nConnection: close\r\n\r\n"
    generation.sent = time.perf_counter()
    connection.sendall((head + length).encode() + generation.body)
    connection.setblocking(False)
    selector.register(connection, selectors.EVENT_READ, generation)


def _took(connection: socket.socket, generation: Generation, came: float) -> bool:
    """Read what came; whether that was the end."""
    data = connection.recv(65_536)
    generation.status = generation.status or data[:12]
    if not data or not generation.status.endswith(b"200"):
        if generation.ended:
            return True
        raise RuntimeError(f"not answered to its end: {(generation.tail + data)[-500:]!r}")
    text = generation.tail + data
    events, _, generation.tail = text.rpartition(_EVENT_END)
    for event in events.split(_EVENT_END) if events else ():
        if _DONE in event:
            generation.ended = came
        elif b'"text":"' in event or b'"text": "' in event:
            generation.times.append(came)
    if _DONE in generation.tail:
        generation.ended = came
    return False
