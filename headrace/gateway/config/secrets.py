"""Certificates, keys and CAs as Envoy reads them: one file each, which is replaced as a whole."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from headrace.gateway.config.messages import Message, typed
from headrace.gateway.config.places import CALLERS, OWN, SERVER, SERVICES

_SECRET = "extensions.transport_sockets.tls.v3.Secret"  # noqa: S105


def pair_secret(name: str, cert: bytes, key: bytes) -> Message:
    """A certificate with its key."""
    pair = {"certificate_chain": _inline(cert), "private_key": _inline(key)}
    return {"resources": [typed(_SECRET, name=name, tls_certificate=pair)]}


def ca_secret(name: str, certs: bytes) -> Message:
    """The CAs that certificates must be of."""
    return {
        "resources": [typed(_SECRET, name=name, validation_context={"trusted_ca": _inline(certs)})]
    }


SETTINGS: Mapping[str, tuple[str, ...]] = {
    SERVER: ("tls_cert", "tls_key"),
    CALLERS: ("tls_client_ca",),
    OWN: ("peer_tls_cert", "peer_tls_key"),
    SERVICES: ("peer_tls_ca",),
}
"""The settings that name the files of each secret: a pair, or CAs."""


def _inline(content: bytes) -> Message:
    return {"inline_bytes": base64.b64encode(content).decode()}
