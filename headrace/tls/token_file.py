"""A token in a file, read again when the file changes, as calls bring it."""

from __future__ import annotations

import os
from pathlib import Path

from headrace import addresses, errors

AUTHORIZATION = "authorization"
MAX_BYTES = 16_384
_Stamp = tuple[int, int, int]


class TokenFile:
    """The bearer token of a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: _Stamp | None = None
        self._metadata: tuple[tuple[str, str], ...] = ()

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a call brings. Raises FailedPrecondition (TOKEN_FILE_UNUSABLE)."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - this is done for every call
            stamp = found.st_ino, found.st_size, found.st_mtime_ns
            if stamp != self._stamp:
                self._metadata = ((AUTHORIZATION, f"Bearer {self._read()}"),)
                self._stamp = stamp
        except OSError as error:
            raise self._unusable(f"cannot be read ({error.strerror or error})") from error
        return self._metadata

    def _read(self) -> str:
        with self.path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode("ascii", "replace").strip()
        if not text or len(text) > MAX_BYTES or not text.isprintable() or not text.isascii():
            raise self._unusable("has no token in it")
        if " " in text:
            raise self._unusable("has more than a token in it")
        return text

    def _unusable(self, what: str) -> errors.FailedPrecondition:
        return errors.FailedPrecondition(
            "TOKEN_FILE_UNUSABLE",
            f"{self.path} {what}: a token file has one line, the key or token alone, and this account can "
            "read it",
            facts={"file": str(self.path)},
        )


def require_private_way(address: str, *, is_tls: bool) -> None:
    """Raises FailedPrecondition (TOKEN_IN_PLAINTEXT) where a token would be readable on the way."""
    if is_tls or addresses.is_local(address):
        return
    raise errors.FailedPrecondition(
        "TOKEN_IN_PLAINTEXT",
        f"a token is not sent to {address}, since everybody on the way could read it: call it over TLS "
        "(an address grpcs://HOST:PORT, or the authority's certificate as --tls-ca)",
        facts={"address": address},
    )
