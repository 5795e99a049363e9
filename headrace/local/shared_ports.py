"""Ports that the replicas of a suite listen on together, kept for them while they come and go."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from headrace import addresses, errors
from headrace.local.commands import SuiteOptions, shared_ports


@contextmanager
def kept_ports(options: SuiteOptions) -> Iterator[Mapping[str, int]]:
    """The shared ports by their kinds, the suite's own while inside; none for a replica that is alone.

    Whoever holds one does not listen: the system gives connections to the replicas that do. Raises
    FailedPrecondition (PORTS_TAKEN).
    """
    with ExitStack() as stack:
        if not options.shares_ports:
            yield {}
            return
        planned = shared_ports(options).items()
        yield {kind: stack.enter_context(_kept(options.host, port)) for kind, port in planned}


@contextmanager
def _kept(host: str, port: int) -> Iterator[int]:
    found = socket.getaddrinfo(
        addresses.bare_host(host) or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            held.bind(address)
        except OSError as error:
            where = addresses.join(host, port)
            raise errors.FailedPrecondition(
                "PORTS_TAKEN",
                f"the replicas cannot share {where} ({error.strerror}): choose another port, or free ones "
                "for all with --port 0",
            ) from error
        # Replicas still may bind it; another suite, which looks whether ports are taken, finds it so.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        yield int(held.getsockname()[1])
