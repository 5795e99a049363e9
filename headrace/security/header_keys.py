"""Keys that callers bring in headers of their own, as clients of Triton's restricted protocols do.

What is kept of a key is its SHA-256. Headers are looked at where neither a token nor a certificate is
brought: whoever has those is who they say.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from headrace import errors
from headrace.security.identities import Identity, Proof

SUBJECT_PREFIX = "header:"
"""Of the subjects of such keys: no issuer of JWTs has that name."""

Brought = tuple[tuple[str, str], ...]
"""Headers with keys, by their names in lower case."""


@dataclass(frozen=True, slots=True)
class HeaderKey:
    """A key: the name of its subject, the headers that may bring it, and its SHA-256 in hex."""

    name: str
    headers: tuple[str, ...]
    sha256: str


class HeaderKeys:
    """All that are taken. A header may belong to one key only."""

    def __init__(self, keys: Iterable[HeaderKey] = ()) -> None:
        self._by_header = {header: key for key in keys for header in key.headers}
        self.headers = frozenset(self._by_header)
        """The headers that are looked at."""

    def identity_of(self, brought: Brought) -> Identity | None:
        """Return whose they are; several together have the grants of all. None where none is brought.

        Raises Unauthenticated (API_KEY_INVALID) where any of them is wrong.
        """
        subjects = []
        for header, value in brought:
            key = self._by_header.get(header)
            if key is None:
                continue
            digest = hashlib.sha256(value.encode()).hexdigest()
            if not hmac.compare_digest(digest, key.sha256):
                raise errors.Unauthenticated(
                    "API_KEY_INVALID", f"the header {header} has another value than its key"
                )
            subjects.append(SUBJECT_PREFIX + key.name)
        if not subjects:
            return None
        first, *others = dict.fromkeys(subjects)
        return Identity(first, Proof.HEADER, first.removeprefix(SUBJECT_PREFIX), tuple(others))


NO_HEADER_KEYS = HeaderKeys()
