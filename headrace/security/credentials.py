"""What a call brings to prove who makes it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

AUTHORIZATION = "authorization"
FORWARDED_CERTIFICATE = "x-forwarded-client-cert"
_HEADERS = frozenset((AUTHORIZATION, FORWARDED_CERTIFICATE))
_SCHEME = "bearer "
_MAX_SPACES = 8
"""Spaces around a token. Values are remembered as they came: one key must not have any number of them."""


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """The names in a client's certificate that was verified: URIs and host names, each by its own kind."""

    uris: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    expires_at: float = math.inf
    """In seconds since the epoch."""


GATEWAY_SOCKET = PeerCertificate(uris=("unix:gateway",))
"""In place of a certificate: a call came over a socket that only a gateway on this machine can reach. It is
this very object that says so; no certificate is it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The value of `authorization`, the certificate of the connection, and what a proxy says of its own."""

    authorization: str = ""
    certificate: PeerCertificate | None = None
    forwarded: str = ""
    """The value of `x-forwarded-client-cert`; believed of trusted gateways only."""
    header_keys: tuple[tuple[str, str], ...] = ()
    """Headers that the identity file takes for keys, and their values."""

    @property
    def bearer(self) -> str:
        """The bearer token; '' where there is none of that form."""
        return bearer_of(self.authorization)


def bearer_of(authorization: str) -> str:
    """Return the token of `Bearer TOKEN`; '' where the value has another form."""
    if authorization[: len(_SCHEME)].lower() != _SCHEME:
        return ""
    rest = authorization[len(_SCHEME) :]
    token = rest.strip(" ")
    if len(rest) - len(token) > _MAX_SPACES:
        return ""
    return "" if "," in token or " " in token else token  # two headers, joined on their way here


def credentials_of(
    metadata: Iterable[tuple[str, str | bytes]],
    certificate: PeerCertificate | None = None,
    key_headers: Collection[str] = (),
) -> Credentials:
    """Return what a call's metadata, or a request's headers in lower case, bring.

    A header that comes twice counts as both, joined: that proves nothing.
    """
    found: dict[str, str] = {}
    for key, value in metadata:
        if (key in _HEADERS or key in key_headers) and isinstance(value, str):
            found[key] = f"{found[key]},{value}" if key in found else value
    authorization = found.pop(AUTHORIZATION, "")
    forwarded = found.pop(FORWARDED_CERTIFICATE, "")
    return Credentials(authorization, certificate, forwarded, tuple(found.items()))
