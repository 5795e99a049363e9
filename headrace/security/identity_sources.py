"""Puts the identity file in force, and again when it changes; a broken one leaves what was there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace import errors
from headrace.file_stamps import stamp_of
from headrace.security.access import Access
from headrace.security.certificates import RuledCertificates
from headrace.security.header_keys import HeaderKeys
from headrace.security.identity_file import IdentityRules, read_identity_file
from headrace.security.jwks import IssuerKeys, KeyKeeper, read_jwks
from headrace.security.tokens import IssuedTokens, require_pyjwt
from headrace.security.verifiers import NoTokens

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often the file is looked at."""


class IdentitySources:
    """What an identity file says, in force in an access."""

    def __init__(self, path: Path, access: Access, look_seconds: float = LOOK_SECONDS) -> None:
        self.path = path
        self.problem = ""
        """Why the file cannot be used as it is now; '' if it can."""
        self.reloads = 0
        self.issuers: tuple[IssuerKeys, ...] = ()
        self._access = access
        self._stamp = stamp_of(path)
        self._keeper = KeyKeeper(self.look, look_seconds)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Follow the file and the issuers' keys while inside. Raises FailedPrecondition at the start."""
        self._apply(read_identity_file(self.path))
        for keys in self.issuers:
            if (
                not keys.issuer.is_remote
            ):  # at once, so that the first token is verified; URLs may be slow
                keys.refresh()
        with self._keeper:
            yield

    def look(self) -> None:
        """Read the file again if it has changed."""
        stamp = stamp_of(self.path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._apply(read_identity_file(self.path))
        except errors.FailedPrecondition as error:
            self.problem = error.message
            logger.error("%s; what it said before stays", error.message)  # noqa: TRY400 - it has no bug
        else:
            self.problem = ""
            self.reloads += 1
            logger.info("the identity file was read again", extra={"file": str(self.path)})

    def _apply(self, rules: IdentityRules) -> None:
        if rules.issuers:
            require_pyjwt()
        before = {keys.issuer: keys for keys in self.issuers}
        self.issuers = tuple(
            before.get(issuer) or IssuerKeys(issuer, read_jwks, on_change=self._access.forget)
            for issuer in rules.issuers
        )
        access = self._access
        if self.issuers:
            access.tokens = IssuedTokens(self.issuers, self._keeper.wake)
        else:
            access.tokens = NoTokens()
        access.certificates = RuledCertificates(rules.certificates)
        access.header_keys = HeaderKeys(key.as_key() for key in rules.header_keys)
        access.forget()
        self._keeper.keep(self.issuers)
