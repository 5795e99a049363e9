"""Posts a body to an address that the rules name: no redirect is followed, and it ends in time."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_MAX_ANSWER_BYTES = 64 * 1024
_MAX_SHOWN = 200
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class NotSentError(Exception):
    """A receiver did not take it, for a reason that is told to people."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to post, and how long that may take."""

    url: str
    timeout_seconds: float
    ca_file: Path | None = None


class Connections:
    """Those that are open, so that a stop can end them."""

    def __init__(self) -> None:
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def opened(self, connection: socket.socket) -> Iterator[None]:
        """Keep a connection while inside, and close it."""
        with self._lock:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def shut(self) -> None:
        """End all of them: whoever waits for an answer gets none."""
        with self._lock:
            for connection in self._open:
                _shut(connection)


def post(target: Target, body: bytes, headers: Mapping[str, str], connections: Connections) -> None:
    """Post a body. Raises NotSentError for everything but an answer of 2xx."""
    parts = urlsplit(target.url)
    try:
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        status, answer = _exchanged(target, host, port, body, headers, connections)
    except (OSError, http.client.HTTPException, ValueError) as error:  # ssl.SSLError is an OSError
        raise NotSentError(_said(error)) from error
    if 300 <= status < 400:
        raise NotSentError(f"it answered {status}: redirects are not followed")
    if not 200 <= status < 300:
        raise NotSentError(f"it answered {status}: {answer}")


def _exchanged(
    target: Target,
    host: str,
    port: int,
    body: bytes,
    headers: Mapping[str, str],
    connections: Connections,
) -> tuple[int, str]:
    parts = urlsplit(target.url)
    is_tls = parts.scheme == "https"
    plain = _connected(host, port, target.timeout_seconds)
    # each operation has the timeout, and a server that sends a byte now and then many of them
    end = threading.Timer(target.timeout_seconds, _shut, (plain,))
    end.daemon = True
    end.start()
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(connections.opened(plain))
            ours = _wrapped(plain, host, target) if is_tls else plain
            connection = http.client.HTTPConnection(host, port)
            connection.sock = ours
            stack.callback(connection.close)
            path = parts.path or "/"
            where = f"{path}?{parts.query}" if parts.query else path
            default = 443 if is_tls else 80
            shown = f"[{host}]" if ":" in host else host
            authority = shown if port == default else f"{shown}:{port}"
            connection.request("POST", where, body, {"Host": authority, **headers})
            answer = connection.getresponse()
            text = answer.read(_MAX_ANSWER_BYTES)
            return answer.status, _printable(text)
    finally:
        end.cancel()


def _connected(host: str, port: int, seconds: float) -> socket.socket:
    """Connect to the first address that answers; never to one of the link, where clouds serve secrets."""
    failed: OSError = OSError("it has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        if _is_of_the_link(str(address[0])):
            failed = OSError(f"{address[0]} is an address of the link: nothing is sent there")
            continue
        found = socket.socket(family, kind, protocol)
        found.settimeout(seconds)
        try:
            found.connect(address)
        except OSError as error:
            found.close()
            failed = error
        else:
            return found
    raise failed


def _is_of_the_link(address: str) -> bool:
    """Return whether it is one, also as IPv6 writes one of IPv4."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        low = ipaddress.IPv4Address(found.packed[-4:])
        is_within = found.ipv4_mapped is not None or found in _NAT64
        return found.is_link_local or (is_within and low.is_link_local)
    return found.is_link_local


def _wrapped(plain: socket.socket, host: str, target: Target) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(target.ca_file) if target.ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context.wrap_socket(plain, server_hostname=host)


def _shut(plain: socket.socket) -> None:
    with contextlib.suppress(OSError):
        plain.shutdown(socket.SHUT_RDWR)


def _said(error: Exception) -> str:
    text = _printable(str(error).encode(errors="replace"))
    return text or type(error).__name__


def _printable(text: bytes) -> str:
    shown = text[:_MAX_SHOWN].decode(errors="replace")
    return "".join(each if each.isprintable() else " " for each in shown).strip()
