"""Seals artifacts with AES-256-GCM: a store that holds them can neither read nor change them.

A sealed blob is a header and chunks of 1 MiB. The header names the sealing key and has a key for this blob
alone, made anew for each sealing and encrypted with the sealing key. A chunk's nonce is its number, and
whether it is the last: chunks can be read from any on, and none moved, left out or cut off unnoticed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import shlex
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from headrace import errors

MAGIC = b"HRSEAL1\n"
CHUNK_BYTES = 1 << 20
TAG_BYTES = 16
KEY_BYTES = 32
_ID_BYTES = 8
_NONCE_BYTES = 12
HEADER_BYTES = len(MAGIC) + _ID_BYTES + _NONCE_BYTES + KEY_BYTES + TAG_BYTES
_COMMAND_SECONDS = 30.0

UNUSABLE = "SEAL_KEY_UNUSABLE"
UNKNOWN = "SEAL_KEY_UNKNOWN"
BROKEN = "BLOB_SEAL_BROKEN"


@dataclass(frozen=True, slots=True)
class SealingKeys:
    """Keys by their ids; the first seals, all open."""

    by_id: dict[bytes, bytes]

    @property
    def sealing(self) -> tuple[bytes, bytes]:
        """The id and the key that seal."""
        return next(iter(self.by_id.items()))

    def __repr__(self) -> str:
        """Without the keys: it may come to stand in a log."""
        return f"SealingKeys({', '.join(key_id.hex() for key_id in self.by_id)})"


def load_keys(file: Path | None, command: str) -> SealingKeys | None:
    """The keys in a file, or that a command prints; None where neither is given. Blocks.

    A line has a key, 32 bytes in base64; empty lines, and those that begin with '#', have none. Raises
    InvalidArgument (SEAL_KEY_UNUSABLE), FailedPrecondition (SEALING_NOT_INSTALLED).
    """
    if file is None and not command:
        return None
    _require_cryptography()
    text = _printed(command) if file is None else _read(file)
    where = "the seal_key_command" if file is None else str(file)
    lines = [line.strip() for line in text.splitlines()]
    keys = [_key(line, where) for line in lines if line and not line.startswith("#")]
    if not keys:
        raise _unusable(f"{where} has no key")
    return SealingKeys({_id_of(key): key for key in keys})


def sealed_bytes(plain: int) -> int:
    """The size of a blob of so many bytes once it is sealed."""
    return HEADER_BYTES + plain + TAG_BYTES * max(1, -(-plain // CHUNK_BYTES))


def plain_bytes(sealed: int) -> int:
    """The size of what is in a sealed blob of so many bytes; below 0 for one that cannot be."""
    chunks = -(-(sealed - HEADER_BYTES) // (CHUNK_BYTES + TAG_BYTES))
    return sealed - HEADER_BYTES - TAG_BYTES * max(1, chunks)


def chunk_offset(number: int) -> int:
    """Return where a chunk begins in the sealed blob."""
    return HEADER_BYTES + number * (CHUNK_BYTES + TAG_BYTES)


def seal(name: str, plain: BinaryIO, keys: SealingKeys) -> Iterator[bytes]:
    """A blob sealed under a name, piece by piece. Blocks while it reads and encrypts."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key_id, key = keys.sealing
    own, nonce = AESGCM.generate_key(8 * KEY_BYTES), os.urandom(_NONCE_BYTES)
    yield MAGIC + key_id + nonce + AESGCM(key).encrypt(nonce, own, _bound_to(key_id, name))
    cipher, number = AESGCM(own), 0
    chunk = plain.read(CHUNK_BYTES)
    while True:
        following = plain.read(CHUNK_BYTES)
        yield cipher.encrypt(_nonce(number, is_last=not following), chunk, None)
        if not following:
            return
        chunk, number = following, number + 1


class SealOpener:
    """Opens the chunks of one sealed blob, by the header that it begins with."""

    def __init__(self, name: str, header: bytes, keys: SealingKeys) -> None:
        """Raises FailedPrecondition (SEAL_KEY_UNKNOWN), DataLoss (BLOB_SEAL_BROKEN)."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._name = name
        if len(header) != HEADER_BYTES or not header.startswith(MAGIC):
            raise broken(
                name, "it is not sealed; what was pushed before there was a key is pushed again"
            )
        rest = header[len(MAGIC) :]
        key_id, nonce = rest[:_ID_BYTES], rest[_ID_BYTES : _ID_BYTES + _NONCE_BYTES]
        key = keys.by_id.get(key_id)
        if key is None:
            raise unknown_key(
                name, f"the key {key_id.hex()}, which is not among those given ({keys!r})"
            )
        try:
            own = AESGCM(key).decrypt(
                nonce, rest[_ID_BYTES + _NONCE_BYTES :], _bound_to(key_id, name)
            )
        except InvalidTag:
            raise broken(name, "its header is damaged, or another blob's") from None
        self._cipher = AESGCM(own)

    def open(self, number: int, chunk: bytes, *, is_last: bool) -> bytes:
        """The bytes of a chunk. Raises DataLoss (BLOB_SEAL_BROKEN)."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(_nonce(number, is_last=is_last), chunk, None)
        except (InvalidTag, ValueError):
            raise broken(
                self._name, f"its part {number} is damaged, out of place, or cut off"
            ) from None


def broken(name: str, why: str) -> errors.DataLoss:
    """The error of a blob that is not what was sealed."""
    return errors.DataLoss(
        BROKEN, f"{name} cannot be opened: {why}. Push the version again", facts={"blob": name}
    )


def unknown_key(name: str, which: str) -> errors.FailedPrecondition:
    """The error of a blob whose key is not here."""
    return errors.FailedPrecondition(
        UNKNOWN,
        f"{name} is sealed with {which}: add that key to seal_key_file, or to what seal_key_command "
        "prints. If it is lost, push the version again",
        facts={"blob": name},
    )


def _nonce(number: int, *, is_last: bool) -> bytes:
    return struct.pack(">xxxQ?", number, is_last)


def _bound_to(key_id: bytes, name: str) -> bytes:
    return MAGIC + key_id + name.encode()


def _id_of(key: bytes) -> bytes:
    return hashlib.sha256(b"headrace sealing key " + key).digest()[:_ID_BYTES]


def _key(line: str, where: str) -> bytes:
    try:
        key = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise _unusable(f"{where} has a line that is not {KEY_BYTES} bytes in base64")
    return key


def _read(file: Path) -> str:
    try:
        if file.stat().st_mode & 0o077:
            raise _unusable(f"{file} can be read by others: chmod 600 {file}")
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(f"{file} cannot be read ({type(error).__name__})") from error


def _printed(command: str) -> str:
    try:
        done = subprocess.run(  # the setting is its administrator's
            shlex.split(command),
            stdout=subprocess.PIPE,
            timeout=_COMMAND_SECONDS,
            check=True,
            text=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise _unusable(f"the seal_key_command fails ({type(error).__name__})") from None
    return done.stdout


def _unusable(why: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        UNUSABLE,
        f"{why}. A key is 32 random bytes in base64, one a line, the first of which seals: "
        "(umask 077; head -c 32 /dev/urandom | base64 > seal.key)",
    )


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise errors.FailedPrecondition(
            "SEALING_NOT_INSTALLED",
            "sealed artifacts need the package cryptography, which is not installed: "
            "`pip install 'headrace[security]'`",
        ) from error
