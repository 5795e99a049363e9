"""Keeps forked processes from using a connected client's gRPC.

gRPC's threads and its polling do not survive a fork: every call in the child would hang, whatever its
deadline, with the parent's client and with a new one. Where the parent's clients were closed, or never
used, there is nothing to lose.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol

from headrace import errors


class Connections(Protocol):
    """Holds channels."""

    @property
    def connected(self) -> bool:
        """Return whether any channel is open."""


_all: weakref.WeakSet[Connections] = weakref.WeakSet()
_lost = False
"""Whether this process was forked while a client was connected."""


def note_connections(connections: Connections) -> None:
    """Remember what may be connected when this process forks."""
    _all.add(connections)


def is_lost() -> bool:
    """Return whether gRPC cannot be used in this process."""
    return _lost


def require_grpc() -> None:
    """Raises FailedPrecondition (FORKED_WHILE_CONNECTED) where every call would hang."""
    if _lost:
        raise errors.FailedPrecondition(
            "FORKED_WHILE_CONNECTED",
            "this process was forked while a client of its parent was connected, and gRPC does not "
            "survive that: close clients before forking, make them in the children alone, or start "
            "processes by 'spawn' (multiprocessing.set_start_method)",
        )


def _after_fork_in_child() -> None:
    global _lost  # noqa: PLW0603 - it is a fact about the process
    _lost = _lost or any(connections.connected for connections in _all)


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_after_fork_in_child)
