"""A folder with a private authority and the certificates that it signed, each beside its key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from headrace import addresses, errors
from headrace.tls.authority import Authority, Issued, Names, names_of
from headrace.tls.validity import Validity, validity_of

AUTHORITY = "ca"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A certificate in the folder."""

    name: str
    names: Names
    serves: bool
    validity: Validity


class CertificateFolder:
    """The folder, which its account alone may read: `ca.key` makes anybody whom its users trust."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def certificate(self, name: str) -> Path:
        """The file of a certificate."""
        return self.path / f"{name}.pem"

    def key(self, name: str) -> Path:
        """The file of its key."""
        return self.path / f"{name}.key"

    def create(self, lifetime: timedelta) -> None:
        """Make the authority. Raises AlreadyExists (CERTIFICATE_EXISTS)."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._require_new(AUTHORITY)
        self._write(AUTHORITY, Authority.create(f"Headrace, {self.path.name}", lifetime).issued)

    def issue(self, name: str, names: Names, lifetime: timedelta, *, serves: bool) -> None:
        """Make a certificate.

        Raises InvalidArgument (CERTIFICATE_NAME_INVALID), AlreadyExists (CERTIFICATE_EXISTS), NotFound
        (CERTIFICATE_NOT_FOUND) where there is no authority.
        """
        _check(name)
        self._require_new(name)
        self._write(name, self._issued(names, lifetime, serves=serves))

    def renew(self, name: str, lifetime: timedelta) -> None:
        """Replace a certificate by one with the same names and a new key. Raises as `issue` does."""
        _check(name)
        entry = self.entry(name)
        self._write(name, self._issued(entry.names, lifetime, serves=entry.serves))

    def entry(self, name: str) -> Entry:
        """A certificate of the folder. Raises NotFound (CERTIFICATE_NOT_FOUND)."""
        pem = self._read(self.certificate(name))
        try:
            names, serves = names_of(pem)
            return Entry(name, names, serves, validity_of(pem))
        except ValueError as error:
            raise _invalid(f"{self.certificate(name)} was not made here: {error}") from error

    def entries(self) -> Iterator[Entry]:
        """All but the authority's own, by name. Raises NotFound where there is no authority."""
        self._read(self.certificate(AUTHORITY))
        for path in sorted(self.path.glob("*.pem")):
            if path.stem != AUTHORITY and self.key(path.stem).exists():
                yield self.entry(path.stem)

    def authority_validity(self) -> Validity:
        """From when until when the authority is valid."""
        return validity_of(self._read(self.certificate(AUTHORITY)))

    def _issued(self, names: Names, lifetime: timedelta, *, serves: bool) -> Issued:
        pair = Issued(self._read(self.certificate(AUTHORITY)), self._read(self.key(AUTHORITY)))
        try:
            return Authority(pair).issue(names, lifetime, serves=serves)
        except ValueError as error:
            raise _invalid(f"no certificate can be made: {error}") from error

    def _require_new(self, name: str) -> None:
        if self.certificate(name).exists() or self.key(name).exists():
            raise errors.AlreadyExists(
                "CERTIFICATE_EXISTS",
                f"{self.certificate(name)} is there already: `headrace certs renew` replaces certificates "
                "by ones with the same names, another --folder has another authority",
            )

    def _read(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise errors.NotFound(
                "CERTIFICATE_NOT_FOUND",
                f"{path} cannot be read ({error.strerror or error}); `headrace certs create` makes an "
                "authority, `headrace certs issue NAME` a certificate",
            ) from error

    def _write(self, name: str, issued: Issued) -> None:
        """Replace both files; whoever reads them in between finds that they do not fit, and waits."""
        pairs = (self.key(name), issued.key), (self.certificate(name), issued.certificate)
        for path, contents in pairs:
            beside = path.with_name(f".{path.name}.new")
            beside.unlink(missing_ok=True)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(contents)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)


def names_from(hosts: Iterable[str], uris: Iterable[str] = ()) -> Names:
    """Names of hosts and addresses, told apart. Raises InvalidArgument (CERTIFICATE_NAME_INVALID)."""
    given = list(hosts)
    dns, ips = (
        [host for host in given if not addresses.is_ip(host)],
        [host for host in given if addresses.is_ip(host)],
    )
    wrong = [uri for uri in uris if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[!-~]+", uri)]
    if wrong:
        raise _invalid(f"{wrong[0]!r} is not a URI such as spiffe://headrace/alice")
    return Names(dns, ips, list(uris))


def _check(name: str) -> None:
    if not _NAME.fullmatch(name) or name == AUTHORITY:
        raise _invalid(
            f"{name!r} cannot be the name of a certificate's files: use a-z, 0-9, '.', '_' and '-', and "
            f"not {AUTHORITY}"
        )


def _invalid(message: str) -> errors.InvalidArgument:
    return errors.InvalidArgument("CERTIFICATE_NAME_INVALID", message)
