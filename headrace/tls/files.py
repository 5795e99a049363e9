"""Reads a certificate, its key and the authorities to trust from files, all as of one moment."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from headrace import errors
from headrace.tls.validity import Validity, validity_of

_TRIES = 3
"""Files that change while they are read are read again so often."""

Stamp = tuple[tuple[int, int, int, int], ...]
"""Inode, size and times of each file, past symbolic links: it differs where a file was replaced."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the files are: a certificate with its key, certificates of authorities, or both."""

    certificate: Path | None = None
    key: Path | None = None
    authorities: Path | None = None

    def paths(self) -> Iterator[Path]:
        """Those that are named."""
        return (path for path in (self.certificate, self.key, self.authorities) if path is not None)


@dataclass(frozen=True, slots=True)
class Material:
    """What was in the files: a chain, the key that fits it, and authorities; b"" for what is not named."""

    files: TlsFiles
    chain: bytes = b""
    key: bytes = field(default=b"", repr=False)
    authorities: bytes = b""
    validity: Validity | None = None
    """Of the certificate."""


def stamp_of(files: TlsFiles) -> Stamp:
    """The files' stamp now. Raises FailedPrecondition (TLS_FILE_UNREADABLE)."""
    return tuple(_stamp(path) for path in files.paths())


def _stamp(path: Path) -> tuple[int, int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def read_material(files: TlsFiles) -> tuple[Material, Stamp]:
    """What is in the files, and their stamp.

    Raises FailedPrecondition (TLS_FILE_UNREADABLE, TLS_FILES_INVALID): of a pair that is half written, too.
    """
    for _ in range(_TRIES):
        before = stamp_of(files)
        material = _checked(files)
        if stamp_of(files) == before:
            return material, before
    raise _invalid("they change while they are read")


def _checked(files: TlsFiles) -> Material:
    chain, key, authorities = (
        b"" if path is None else _read(path)
        for path in (files.certificate, files.key, files.authorities)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if files.certificate is not None:
        load_pair(context, files)
    if files.authorities is not None:
        load_authorities(context, files.authorities, authorities)
    return Material(files, chain, key, authorities, _validity(files, chain))


def load_pair(context: ssl.SSLContext, files: TlsFiles) -> None:
    """Have a context show the certificate. Raises FailedPrecondition (TLS_FILES_INVALID)."""
    assert files.certificate is not None
    try:
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except ssl.SSLError as error:
        raise _invalid(
            f"{files.certificate} and {files.key} are not a certificate and its key ({_what(error)}); both "
            "are PEM, the key without a password"
        ) from error
    except OSError as error:
        raise _unreadable(files.certificate, error) from error


def load_authorities(context: ssl.SSLContext, path: Path, pem: bytes) -> None:
    """Have a context trust these authorities. Raises FailedPrecondition (TLS_FILES_INVALID)."""
    try:
        context.load_verify_locations(cadata=pem.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError) as error:
        raise _invalid(f"{path} has no certificates of authorities in PEM ({error})") from error
    if not context.cert_store_stats()["x509"]:
        raise _invalid(f"{path} has no certificates of authorities in PEM")


def _no_password() -> bytes:
    """A key with a password must not have a service wait at a terminal."""
    return b""


def _validity(files: TlsFiles, chain: bytes) -> Validity | None:
    if files.certificate is None:
        return None
    try:
        return validity_of(chain)
    except ValueError as error:
        raise _invalid(f"{files.certificate}: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> errors.FailedPrecondition:
    return errors.FailedPrecondition(
        "TLS_FILE_UNREADABLE",
        f"{path} cannot be read ({error.strerror or error}): name a file that this account "
        f"(user id {os.getuid()}) may read",
        facts={"file": str(path)},
    )


def _invalid(what: str) -> errors.FailedPrecondition:
    return errors.FailedPrecondition("TLS_FILES_INVALID", f"the TLS files cannot be used: {what}")


def _what(error: ssl.SSLError) -> str:
    return (error.reason or str(error)).lower().replace("_", " ")
