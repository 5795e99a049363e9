"""Certificates of a private authority in a folder, as tests replace them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from headrace.tls.authority import Authority, Issued, Names

DAY = timedelta(days=1)
LOOPBACK = Names(["localhost"], ["127.0.0.1"])
ALICE = Names(["alice.example"], (), ["spiffe://headrace/alice"])


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a certificate and its key."""

    certificate: Path
    key: Path

    def write(self, issued: Issued) -> None:
        """Replace both, one after the other, as `headrace certs renew` does."""
        for path, contents in ((self.key, issued.key), (self.certificate, issued.certificate)):
            beside = path.with_suffix(".new")
            beside.write_bytes(contents)
            beside.replace(path)


@dataclass(frozen=True, slots=True)
class TlsFolder:
    """An authority, and files of what it signed."""

    folder: Path
    authority: Authority

    @property
    def ca(self) -> Path:
        """The file of the authority's certificate."""
        return self.folder / "ca.pem"

    def pair(
        self, name: str, names: Names, *, serves: bool = False, lifetime: timedelta = DAY
    ) -> Pair:
        """The files of a new certificate."""
        pair = Pair(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        pair.write(self.authority.issue(names, lifetime, serves=serves))
        return pair

    def server(self, name: str = "server") -> Pair:
        """Those of a server on this machine."""
        return self.pair(name, LOOPBACK, serves=True)

    def renew(self, pair: Pair) -> None:
        """Replace a server's files by new ones."""
        pair.write(self.authority.issue(LOOPBACK, DAY, serves=True))


def tls_folder(folder: Path, name: str = "ca", *, lifetime: timedelta = DAY) -> TlsFolder:
    """A new authority in a folder of its own."""
    made = TlsFolder(folder / name, Authority.create(name, lifetime))
    made.folder.mkdir()
    made.ca.write_bytes(made.authority.issued.certificate)
    return made
