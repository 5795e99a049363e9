"""Settings of TLS, the same in every service."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headrace.tls.certificates import Certificates
from headrace.tls.files import TlsFiles
from headrace.tls.servers import ClientAuth, ServerTls


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerTlsSettings:
    """What a service's own ports show, and ask of callers."""

    tls_cert: Path | None = None
    """The certificate of all ports of this service, PEM, with those of intermediate authorities; they then
    speak TLS 1.2 or later. Read again when it changes."""
    tls_key: Path | None = None
    """Its key, PEM, without a password."""
    tls_client_ca: Path | None = None
    """The certificates of the authorities that callers' certificates have to be from."""
    tls_client_auth: ClientAuth = "off"
    """Whether callers show a certificate: off asks for none, optional verifies one that is shown, required
    refuses who has none."""

    def tls_problems(self) -> Iterator[str]:
        """Every one of these settings that does not fit the others, and why."""
        if (self.tls_cert is None) != (self.tls_key is None):
            given, missing = ("cert", "key") if self.tls_key is None else ("key", "cert")
            yield f"--tls-{given} needs --tls-{missing}, too"
        if self.tls_client_ca is not None and self.tls_cert is None:
            yield "--tls-client-ca needs --tls-cert and --tls-key: without TLS nobody shows a certificate"
        if self.tls_client_auth != "off" and self.tls_client_ca is None:
            yield f"--tls-client-auth {self.tls_client_auth} needs --tls-client-ca, to verify callers by"
        if self.tls_client_auth == "off" and self.tls_client_ca is not None:
            yield "--tls-client-ca is for --tls-client-auth optional or required: say which"

    def read_server_tls(self) -> ServerTls | None:
        """The TLS of the ports, None where they are plain. Raises as Certificates does."""
        if self.tls_cert is None:
            return None
        files = TlsFiles(self.tls_cert, self.tls_key, self.tls_client_ca)
        return ServerTls(Certificates(files), self.tls_client_auth)


@dataclass(frozen=True, kw_only=True, slots=True)
class PeerTlsSettings(ServerTlsSettings):
    """The same, and what a service shows to those that it calls."""

    peer_tls_ca: Path | None = None
    """The certificates of the authorities to trust where this service calls registry and monitor; with it,
    or with --peer-tls-cert, these calls are over TLS. Without it the system's are trusted."""
    peer_tls_cert: Path | None = None
    """The certificate that this service shows there, PEM; read again when it changes."""
    peer_tls_key: Path | None = None
    """Its key, PEM, without a password."""
    peer_tls_name: str = ""
    """The name that the certificates of registry and monitor have, where it is not the host of their
    addresses."""
    token_file: Path | None = None
    """The file of this service's own key, which its calls bring; read again when it changes. It is never
    sent in plaintext to another machine."""

    def peer_problems(self) -> Iterator[str]:
        """Every one of these settings that does not fit the others, and why."""
        yield from self.tls_problems()
        if (self.peer_tls_cert is None) != (self.peer_tls_key is None):
            given, missing = ("cert", "key") if self.peer_tls_key is None else ("key", "cert")
            yield f"--peer-tls-{given} needs --peer-tls-{missing}, too"
