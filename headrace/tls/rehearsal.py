"""Rehearses a handshake in memory: would a client believe this certificate, and by which name?"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from headrace import errors

_MOST_ROUNDS = 10


def rehearsed(server: ssl.SSLContext, client: ssl.SSLContext) -> Mapping[str, Any]:
    """What the client learns of the server, as `getpeercert` has it.

    The client must verify and must not look at names. Raises FailedPrecondition (TLS_FILES_INVALID) where
    one of them refuses the other.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = server.wrap_bio(to_server, to_client, server_side=True)
    calling = client.wrap_bio(to_client, to_server)
    try:
        for _ in range(_MOST_ROUNDS):
            steps = [_step(side.do_handshake) for side in (calling, serving)]
            if all(steps):  # also the server's: a client is through before its certificate was seen
                break
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason or str(error)
        raise errors.FailedPrecondition(
            "TLS_FILES_INVALID",
            f"the services of this suite would not believe one another's certificate ({why}): the "
            "authorities of --tls-ca must have signed --tls-cert, and where callers show certificates, "
            "those of --tls-client-ca, too, for servers and clients",
        ) from error
    return calling.getpeercert() or {}


def _step(handshake: Callable[[], None]) -> bool:
    try:
        handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def name_to_call(certificate: Mapping[str, Any], host: str) -> str:
    """The name by which a server is called at `host`; '' where its certificate has the host itself.

    Raises FailedPrecondition (TLS_FILES_INVALID) where it has no name at all.
    """
    names = certificate.get("subjectAltName", ())
    if any(_same(name, host) for kind, name in names if kind in ("IP Address", "DNS")):
        return ""
    hosts = [name for kind, name in names if kind == "DNS"]
    if not hosts:
        raise errors.FailedPrecondition(
            "TLS_FILES_INVALID",
            f"the certificate of --tls-cert has neither {host} nor the name of any host in it (as subject "
            "alternative names): nobody could call by it",
        )
    return str(hosts[0]).replace("*", "headrace")


def _same(name: str, host: str) -> bool:
    """Return whether two hosts are the same; OpenSSL writes ::1 as 0:0:0:0:0:0:0:1."""
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(host)
    except ValueError:
        return name == host
