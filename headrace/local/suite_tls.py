"""TLS of a suite: what its services show, and how they call one another."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from pathlib import Path

from headrace import addresses
from headrace.tls.certificates import Certificates
from headrace.tls.files import TlsFiles, load_authorities, load_pair
from headrace.tls.rehearsal import name_to_call, rehearsed
from headrace.tls.servers import GRPC_PROTOCOLS, ClientAuth, ServerTls


@dataclass(frozen=True, slots=True)
class SuiteTls:
    """The files of a suite's TLS: one certificate for all of its services."""

    certificate: Path
    key: Path
    authorities: Path | None = None
    """Of the certificate; without them it is from one that the system trusts."""
    client_authorities: Path | None = None
    client_auth: ClientAuth = "off"
    name: str = ""
    """The name by which services call one another, where the certificate does not have their address."""

    def rehearsed_at(self, host: str) -> SuiteTls:
        """The same, with the name by which services of this host call one another.

        Raises FailedPrecondition (TLS_FILE_UNREADABLE, TLS_FILES_INVALID) where they could not.
        """
        files = TlsFiles(self.certificate, self.key, self.client_authorities)
        server = ServerTls(Certificates(files), self.client_auth).ssl_context(GRPC_PROTOCOLS)
        bare = addresses.bare_host(host)
        called = addresses.EVERY_INTERFACE.get(bare, bare)
        return replace(self, name=name_to_call(rehearsed(server, self._client()), called))

    def _client(self) -> ssl.SSLContext:
        context = ssl.create_default_context() if self.authorities is None else _verifying()
        context.check_hostname = False
        if self.authorities is not None:
            load_authorities(context, self.authorities, self.authorities.read_bytes())
        if self.client_auth != "off":
            load_pair(context, TlsFiles(self.certificate, self.key))
        return context

    def as_json(self) -> dict[str, str]:
        """Return what clients need to know: whom to trust, and which name to expect."""
        return {"ca": str(self.authorities or ""), "name": self.name}

    def server_flags(self) -> dict[str, str]:
        """The flags of every service."""
        flags = {"tls-cert": str(self.certificate), "tls-key": str(self.key)}
        if self.client_auth != "off":
            flags |= {
                "tls-client-auth": self.client_auth,
                "tls-client-ca": str(self.client_authorities),
            }
        return flags

    def peer_flags(self) -> dict[str, str]:
        """The flags of those that call others: they show the certificate of the suite."""
        flags = {"peer-tls-name": self.name}
        if self.authorities is not None:
            flags["peer-tls-ca"] = str(self.authorities)
        if self.client_auth != "off":
            flags |= {"peer-tls-cert": str(self.certificate), "peer-tls-key": str(self.key)}
        return {flag: value for flag, value in flags.items() if value}


def _verifying() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
