"""Credentials of gRPC's servers, from the certificates of a process."""

from __future__ import annotations

import grpc

from headrace.tls.files import Material
from headrace.tls.servers import ServerTls


def grpc_credentials(tls: ServerTls) -> grpc.ServerCredentials:
    """Credentials for a server: each handshake has the certificates that the files have then."""
    given = tls.certificates.current()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal given
        now = tls.certificates.current()
        if now is given:
            return None
        given = now
        return _configuration(now)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(given),
        fetch,  # type: ignore[arg-type]  # None means the same again; the stubs do not know
        tls.client_auth == "required",
    )


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.chain)], material.authorities or None
    )
