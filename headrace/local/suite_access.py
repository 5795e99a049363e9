"""Identity and permissions of a suite: its own keys, made anew at each start, and the first admin's."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headrace import errors
from headrace.security.api_keys import digest_of, id_of, make_key
from headrace.state.access_records import GrantRecord

if TYPE_CHECKING:
    from headrace.state.access_inbox import PostedKey

SECRETS = "secrets"
"""The folder of the suite's own keys, in the data folder."""

ADMIN = "admin"
"""The subject of the first admin's key, where the suite makes it."""

_SERVICE = (GrantRecord("service"),)


@dataclass(frozen=True, slots=True)
class SuiteAccess:
    """What a suite with authentication is told."""

    identity_file: Path | None = None
    admin_key_file: Path | None = None
    """The file that gets the first admin's key, if it is not there."""

    def server_flags(self) -> dict[str, str]:
        """The flags of every service."""
        flags = {"auth": "on"}
        return flags | ({"identity-file": str(self.identity_file)} if self.identity_file else {})


def token_flags(data: Path, child: str) -> dict[str, str]:
    """The flags of a child that calls others."""
    return {"token-file": str(_key_file(data, child))}


def make_keys(data: Path, registry: Path, access: SuiteAccess, children: tuple[str, ...]) -> None:
    """Make the keys of these children, in files for them alone, and leave their digests for the registry.

    Those of the start before end soon. Raises FailedPrecondition (DATA_UNUSABLE).
    """
    try:
        note = f"headrace up, suite {_suite_id(data)}"
        for child in children:
            made = _made(f"headrace-{child}", _SERVICE, note, replaces=True)
            _keep(_key_file(data, child), registry, *made)
        if access.admin_key_file and not access.admin_key_file.exists():
            made = _made(ADMIN, (GrantRecord("admin"),), note, replaces=False)
            _keep(access.admin_key_file, registry, *made)
    except OSError as error:
        raise errors.FailedPrecondition(
            "DATA_UNUSABLE",
            f"the suite's keys cannot be kept: {error}; name a folder that this account may write",
            facts={"file": str(error.filename or data)},
        ) from error


def _key_file(data: Path, child: str) -> Path:
    return data / SECRETS / f"{child}.key"


def _suite_id(data: Path) -> str:
    """The id of the suite with this data folder: others may share its Redis, and have keys of their own."""
    file = data / SECRETS / "suite.id"
    if not file.exists():
        _write_private(file, f"{secrets.token_hex(4)}\n")
    return file.read_text(encoding="ascii").strip()


def _made(
    subject: str, grants: tuple[GrantRecord, ...], note: str, *, replaces: bool
) -> tuple[str, PostedKey]:
    """A new key, and what the registry is to know of it."""
    from headrace.state.access_inbox import PostedKey  # brings msgspec: for these suites alone

    secret = make_key()
    posted = PostedKey(
        id_of(secret),
        subject,
        digest_of(secret),
        time.time(),
        grants=grants,
        note=note,
        replaces=replaces,
    )
    return secret, posted


def _keep(file: Path, registry: Path, secret: str, posted: PostedKey) -> None:
    """The digest first: a file with a key that nobody takes would look like one that works."""
    from headrace.state.access_inbox import post

    post(registry, posted)
    _write_private(file, f"{secret}\n")


def _write_private(file: Path, text: str) -> None:
    """Replace a file, 0600, whole or not at all; its folder, if it is new, is 0700."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", dir=file.parent)
    with os.fdopen(handle, "w", encoding="ascii") as opened:
        opened.write(text)
    Path(name).replace(file)
