"""Reads the certificate that a caller showed, and that was verified: the names in it, and its end."""

from __future__ import annotations

import math
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.security.credentials import PeerCertificate
from headrace.tls.validity import validity_of


def from_auth_context(context: Mapping[str, Sequence[bytes]]) -> PeerCertificate | None:
    """What a call of gRPC brings, by its `auth_context()`; None where no certificate was verified.

    The list of all names is left alone: a host's name in it could pose as a URI.
    """
    if "x509_pem_cert" not in context:
        return None
    return PeerCertificate(
        _texts(context.get("peer_uri", ())),
        _texts(context.get("peer_dns", ())),
        _not_after(context["x509_pem_cert"]),
    )


def from_peercert(peercert: Mapping[str, Any] | None) -> PeerCertificate | None:
    """What a connection of asyncio brings, by its `peercert`; None where no certificate was verified."""
    if not peercert:  # {}: one that was not verified
        return None
    names = peercert.get("subjectAltName", ())
    return PeerCertificate(
        tuple(name for kind, name in names if kind == "URI"),
        tuple(name for kind, name in names if kind == "DNS"),
        ssl.cert_time_to_seconds(peercert["notAfter"]) if "notAfter" in peercert else math.inf,
    )


def _texts(names: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(name.decode("utf-8", "replace") for name in names)


def _not_after(pem: Sequence[bytes]) -> float:
    try:
        return validity_of(pem[0]).not_after
    except (ValueError, IndexError):
        return math.inf
