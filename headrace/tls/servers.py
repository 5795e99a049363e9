"""TLS of a process's servers: one certificate for all its ports, and what callers have to show."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from headrace import errors
from headrace.tls.certificates import Certificates
from headrace.tls.files import Material, load_authorities, load_pair

ClientAuth = Literal["off", "optional", "required"]

_VERIFY = {
    "off": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
HTTP_PROTOCOLS = ("http/1.1",)
GRPC_PROTOCOLS = ("h2",)


@dataclass(slots=True)
class ServerTls:
    """The certificates of a process that serves, and whether callers have to bring one of their own."""

    certificates: Certificates
    client_auth: ClientAuth = "off"
    _contexts: dict[Sequence[str], tuple[Material, ssl.SSLContext]] = field(default_factory=dict)

    def ssl_context(self, protocols: Sequence[str]) -> ssl.SSLContext:
        """A context for asyncio's servers: each handshake has the certificates that the files have then."""
        context = self._fresh_context(protocols)

        def choose(
            connection: ssl.SSLObject | ssl.SSLSocket, _: str | None, __: ssl.SSLContext
        ) -> None:
            connection.context = self._fresh_context(protocols)

        context.sni_callback = choose  # called for every client, also one that names no server
        return context

    def _fresh_context(self, protocols: Sequence[str]) -> ssl.SSLContext:
        material = self.certificates.current()
        made = self._contexts.get(protocols)
        if made is None:
            made = self._contexts[protocols] = material, self._context(material, protocols)
        elif made[0] is not material:
            with suppress(
                errors.FailedPrecondition
            ):  # files that change right now: the next client has them
                made = self._contexts[protocols] = material, self._context(material, protocols)
        return made[1]

    def _context(self, material: Material, protocols: Sequence[str]) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(list(protocols))
        load_pair(context, material.files)
        if material.files.authorities is not None:
            load_authorities(context, material.files.authorities, material.authorities)
        context.verify_mode = _VERIFY[self.client_auth]
        if context.verify_mode is not ssl.CERT_NONE:
            # A resumed session would be believed though its authority is trusted no more.
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
        return context
