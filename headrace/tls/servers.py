"""TLS of a process's servers: one certificate for all its ports, and what callers have to show."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
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
        """A context for asyncio's servers: each connection has what the files have when it begins."""
        self._fresh_context(protocols)
        context = _FollowingContext(ssl.PROTOCOL_TLS_SERVER)
        context.followed = lambda: self._fresh_context(protocols)
        return context

    def _fresh_context(self, protocols: Sequence[str]) -> ssl.SSLContext:
        material = self.certificates.current()
        made = self._contexts.get(protocols)
        if made is None:
            made = self._contexts[protocols] = material, self._context(material, protocols)
        elif made[0] is not material:
            with suppress(
                errors.FailedPrecondition
            ):  # they change right now: the next client has them
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
        return context


class _FollowingContext(ssl.SSLContext):
    """Makes each connection by the context of the moment.

    So a session that is resumed was begun with the same files, and its authority is trusted still.
    """

    followed: Callable[[], ssl.SSLContext]

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001 - as ssl has it
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """A connection, as asyncio asks for it."""
        return self.followed().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
