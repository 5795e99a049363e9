"""Joins the metrics of all replicas of a machine into one page: every series with its replica's name."""

from __future__ import annotations

import asyncio
import http.client
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus

from headrace import addresses
from headrace_inference.adapters.metrics.text import label_text
from headrace_inference.adapters.siblings import Sibling, Siblings

logger = logging.getLogger(__name__)

_SECONDS = 10.0
_HELP, _TYPE = b"# HELP ", b"# TYPE "

Page = tuple[str, bytes]
"""A replica's name, and its metrics in Prometheus' text format."""


class MachineMetrics:
    """The metrics of the replicas that share ports, of which `own` writes this one's."""

    def __init__(self, siblings: Siblings, own: Callable[[], Awaitable[bytes]]) -> None:
        self._siblings = siblings
        self._own = own

    async def text(self) -> bytes:
        """The page. A replica that cannot be asked is missing, and in the log."""
        others = self._siblings.others()
        own = await self._own()
        pages = await asyncio.gather(*map(_page, others))
        told = zip(others, pages, strict=True)
        found = [(other.id, page) for other, page in told if page is not None]
        by_name = sorted([(self._siblings.own.id, own), *found])
        return await asyncio.to_thread(joined, by_name)


async def _page(sibling: Sibling) -> bytes | None:
    try:
        return await asyncio.to_thread(_fetched, sibling.metrics_address)
    except (OSError, http.client.HTTPException) as error:
        facts = {"replica": sibling.id}
        logger.warning("a replica's metrics are missing: %r", error, extra=facts)
        return None


def _fetched(address: str) -> bytes:
    """The page at an address, past all proxies. Raises OSError, HTTPException."""
    connection = _connection(address)
    try:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        if response.status != HTTPStatus.OK:
            raise http.client.HTTPException(f"the status is {response.status}")
        return response.read()
    finally:
        connection.close()


def _connection(address: str) -> http.client.HTTPConnection:
    if address.startswith("unix:"):
        return _UnixConnection(addresses.unix_path(address))
    host, port = addresses.split(address)
    return http.client.HTTPConnection(host, int(port), timeout=_SECONDS)


class _UnixConnection(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect. Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_SECONDS)
        self.sock.connect(self._path)


def joined(pages: Iterable[Page]) -> bytes:
    """One page of several, with the label `replica`: each metric once, with the series of all."""
    families: dict[bytes, list[bytes]] = {}
    for replica, page in pages:
        label = label_text(replica=replica).encode()
        for head, series in _families(page):
            name = head[0].split(b" ", 3)[2]
            lines = families.setdefault(name, head)
            lines += [_labelled(line, label) for line in series]
    return b"\n".join(line for lines in families.values() for line in lines) + b"\n"


def _families(page: bytes) -> list[tuple[list[bytes], list[bytes]]]:
    """Each metric's lines of help and type, and its series."""
    found: list[tuple[list[bytes], list[bytes]]] = []
    for line in page.splitlines():
        if line.startswith(_HELP):
            found.append(([line], []))
        elif line.startswith(_TYPE):
            found[-1][0].append(line)
        elif line:
            found[-1][1].append(line)
    return found


def _labelled(line: bytes, label: bytes) -> bytes:
    """A series with one label more; names have neither braces nor blanks."""
    name, brace, rest = line.partition(b"{")
    if brace and b" " not in name:
        return name + b"{" + label + b"," + rest
    name, _, rest = line.partition(b" ")
    return name + b"{" + label + b"} " + rest
