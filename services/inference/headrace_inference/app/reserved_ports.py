"""Ports that are a replica's before it serves on them: connections are refused until it does."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from headrace import addresses
from headrace.errors import FailedPrecondition

_MAY_BE_BOUND_TWICE = sys.platform == "linux"
"""Linux lets a server bind an address that is bound already and not listened on (SO_REUSEADDR)."""


class ReservedPort:
    """A port that is bound and not listened on. `reserved_port` gives it back."""

    def __init__(self, port: int, held: socket.socket | None) -> None:
        self.port = port
        self._held = held

    @contextmanager
    def handed_over(self) -> Iterator[None]:
        """While inside, a server may bind the port; after that it is the server's."""
        if not _MAY_BE_BOUND_TWICE:
            self.give_back()
        yield
        self.give_back()

    def give_back(self) -> None:
        """Let others have it."""
        if self._held is not None:
            self._held.close()
            self._held = None


@contextmanager
def reserved_port(host: str, port: int, setting: str) -> Iterator[ReservedPort]:
    """A port of this host, or a free one for 0, that is kept from others while inside.

    Raises FailedPrecondition (ADDRESS_IN_USE) where somebody listens there. What else is wrong with the
    host is left to be found by the server that is going to listen.
    """
    try:
        held = _bound(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise _in_use(addresses.join(host, port), error, setting) from error
        yield ReservedPort(port, None)
        return
    reserved = ReservedPort(int(held.getsockname()[1]), held)
    try:
        yield reserved
    finally:
        reserved.give_back()


def _bound(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(
        addresses.bare_host(host) or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, address = found[0]
    held = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # there it would take a port that is in use
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(address)
    except BaseException:
        held.close()
        raise
    return held


def _in_use(address: str, error: OSError, setting: str) -> FailedPrecondition:
    return FailedPrecondition(
        "ADDRESS_IN_USE",
        f"cannot listen on {address} ({error.strerror}); choose another with {setting} "
        "(0 takes a free one)",
        facts={"address": address},
    )
