"""Who a caller is, and how that was proved."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass


class Proof(enum.StrEnum):
    """What proved who a caller is."""

    NONE = "none"
    API_KEY = "api-key"
    TOKEN = "jwt"  # noqa: S105  # the name of a kind of token
    CERTIFICATE = "certificate"
    HEADER = "header"


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller that is known: its subject, which grants are made to, and the proof.

    Subjects cannot be taken for one another: those of API keys are plain names (`alice`), those of
    JWTs begin with the issuer's name (`corp:alice`), those of certificates are URIs (`spiffe://…`) or what
    the identity file makes of a host's name. `expires_at` is in seconds since the epoch.
    """

    subject: str
    proof: Proof
    detail: str = ""
    """The key's id, the issuer's name, the certificate's name."""
    groups: tuple[str, ...] = ()
    """Further subjects whose grants it has, too."""
    expires_at: float = math.inf

    @property
    def is_known(self) -> bool:
        """Return whether it is somebody."""
        return self.proof is not Proof.NONE

    @property
    def subjects(self) -> tuple[str, ...]:
        """All whose grants it has."""
        return (self.subject, *self.groups)


ANONYMOUS = "anonymous"
"""The subject of callers that bring no credentials. Grants may be made to it."""

NOBODY = Identity(ANONYMOUS, Proof.NONE)
