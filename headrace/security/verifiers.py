"""Verifiers of tokens and certificates, as `Access` asks them, and those that know nobody."""

from __future__ import annotations

from typing import Protocol

from headrace import errors
from headrace.security.credentials import PeerCertificate
from headrace.security.identities import Identity


class TokenVerifier(Protocol):
    """Verifies signed tokens (JWT)."""

    def verify(self, token: str) -> Identity:
        """Return whose token it is. It may take milliseconds. Raises Unauthenticated."""


class CertificateNames(Protocol):
    """Makes subjects of the names in certificates, and knows the gateways."""

    def identity_of(self, certificate: PeerCertificate) -> Identity | None:
        """Return whose certificate it is; None where none of its names means anything here."""

    def is_gateway(self, certificate: PeerCertificate) -> bool:
        """Return whether what its holder says of others' certificates is believed."""

    def forwarded(self, header: str) -> PeerCertificate | None:
        """Return the certificate that a gateway tells of; None where there was none."""


class NoTokens:
    """Refuses every token: no issuer is known."""

    def verify(self, token: str) -> Identity:  # noqa: ARG002
        """Refuse it. Raises Unauthenticated."""
        raise errors.Unauthenticated(
            "TOKEN_INVALID",
            "this service takes no JWTs: its identity file names no issuer; use an API key",
        )


class NoCertificates:
    """No certificate means anybody."""

    def identity_of(self, certificate: PeerCertificate) -> Identity | None:  # noqa: ARG002
        """Return None."""
        return None

    def is_gateway(self, certificate: PeerCertificate) -> bool:  # noqa: ARG002
        """Return False."""
        return False

    def forwarded(self, header: str) -> PeerCertificate | None:  # noqa: ARG002
        """Return None."""
        return None
