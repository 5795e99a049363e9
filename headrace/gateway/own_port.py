"""Keeps the gateway's port its own while Envoys come and go."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from headrace import addresses, errors


@contextmanager
def own_port(host: str, port: int) -> Iterator[int]:
    """The port, or a free one for 0, kept from other programs while inside; Envoy may listen there.

    Whoever holds it does not listen, so all connections are Envoy's. Raises FailedPrecondition
    (ADDRESS_IN_USE).
    """
    try:
        found = socket.getaddrinfo(
            addresses.bare_host(host), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as held:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(address)  # alone: another gateway at this port would take a part of the calls
            number = int(held.getsockname()[1])
            held.close()
            with _shared(family, kind, protocol, (address[0], number, *address[2:])):
                yield number
    except OSError as error:
        where = addresses.join(host, port)
        raise errors.FailedPrecondition(
            "ADDRESS_IN_USE",
            f"the gateway cannot listen on {where} ({error.strerror}); choose another port with --port "
            "(0 takes a free one)",
            facts={"address": where},
        ) from error


@contextmanager
def _shared(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> Iterator[None]:
    with socket.socket(family, kind, protocol) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
        yield
