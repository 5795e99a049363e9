"""Admits calls of a gRPC server: who calls, and whether he may, by the table of methods.

A call is looked at before its message is parsed as far as that goes, then by every message, and again
whenever what decides has changed: a key that is revoked ends the streams that it opened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from headrace import errors
from headrace.security import callers
from headrace.security.access import OPEN_ACCESS, Access
from headrace.security.credentials import GATEWAY_SOCKET, PeerCertificate
from headrace.security.identities import NOBODY, Identity
from headrace.security.methods import METHODS, MethodRule
from headrace.security.refusals import not_authenticated
from headrace.security.verbs import Permission, Scope, Verb
from headrace.service.authentication import Authentication
from headrace.service.denials import DenialLog
from headrace.service.forwarded_peer import forwarded_peer
from headrace.service.tls_relay import Relay, RelayedCaller
from headrace.tls.peer_certificate import from_auth_context

CertificateOf = Callable[[Any], PeerCertificate | None]
"""Reads the verified client certificate of a call's context."""

_NAMELESS_SOCKET = "unix:"

Metadata = Iterable[tuple[str, str | bytes]]


def peer_certificate(context: Any) -> PeerCertificate | None:
    """Return the certificate that gRPC verified; None where the connection has none."""
    return from_auth_context(context.auth_context() or {})


def certificate_or_gateway(context: Any) -> PeerCertificate | None:
    """The same of a server that has a gateway's Unix socket: what comes over it is a gateway's word.

    Callers over TLS may be handed on to a Unix socket, too, from sockets with names. A gateway's has none.
    """
    if context.peer() == _NAMELESS_SOCKET:
        return GATEWAY_SOCKET
    return peer_certificate(context)


class Gate:
    """Admits the calls of one server; those of methods `left_to_service` that does itself."""

    def __init__(
        self,
        access: Access = OPEN_ACCESS,
        certificate_of: CertificateOf = peer_certificate,
        left_to_service: Collection[str] = (),
    ) -> None:
        self.access = access
        self.authentication = Authentication(access)
        self._certificate_of = certificate_of
        self.relays: list[Relay] = []
        """What ends TLS before its servers, and knows whose a connection is."""
        self.left_to_service = left_to_service
        self.denials = DenialLog()

    @property
    def is_open(self) -> bool:
        """Return whether everybody may do everything."""
        return not self.access.is_on

    def receives_late(self, method: str) -> bool:
        """Return whether a call's message is received once its caller was let in: it may be large."""
        return self.access.is_on and method not in self.left_to_service

    def certificate_of(self, context: Any) -> PeerCertificate | None:
        """Return the verified client certificate of a call; None where its caller showed none."""
        caller = self._relayed(context)
        return caller.certificate if caller else self._certificate_of(context)

    def peer_of(self, context: Any) -> str:
        """Return the address that a call comes from, before a gateway if it came through one."""
        forwarded = forwarded_peer(context.invocation_metadata() or ())
        if forwarded and self.access.is_gateway(self.certificate_of(context)):
            return forwarded
        caller = self._relayed(context)
        return caller.peer if caller else str(context.peer() or "")

    def _relayed(self, context: Any) -> RelayedCaller | None:
        if not self.relays:
            return None
        seen = context.peer()
        return next((relay.callers[seen] for relay in self.relays if seen in relay.callers), None)

    async def admit(self, method: str, context: Any) -> Admission | None:
        """Let a call in, whose caller is the task's from here on. None: the service looks at it itself.

        Raises Unauthenticated, PermissionDenied, ResourceExhausted.
        """
        if method in self.left_to_service:
            metadata: Metadata = context.invocation_metadata() or ()
            callers.begin(callers.caller_of(metadata, self.peer_of(context)))
            return None
        rule = METHODS.get(method)
        if rule is None:
            raise errors.PermissionDenied(
                "PERMISSION_DENIED", f"nobody may call {method}: no permission names it"
            )
        admission = Admission(self, method, rule, context)
        await admission.begin()
        return admission


class Admission:
    """A call that was let in."""

    __slots__ = ("_asked", "_context", "_gate", "_generation", "_identity", "_method", "_rule")

    def __init__(self, gate: Gate, method: str, rule: MethodRule, context: Any) -> None:
        self._gate = gate
        self._method = method
        self._rule = rule
        self._context = context
        self._generation = -1
        self._identity = NOBODY
        self._asked: tuple[tuple[Permission, ...], tuple[str, ...]] | None = None

    async def begin(self) -> None:
        """Identify the caller, and refuse him where no message could help."""
        await self._identify()
        with self._noting_denials(self._rule.permission.verb):
            _check_beforehand(self._gate.access, self._identity, self._rule)

    def check(self, request: Any) -> None:
        """Check a message. Raises Unauthenticated, PermissionDenied."""
        if self._asked is not None and self._rule.first_only:
            return
        rule = self._rule
        self._asked = rule.permissions_for(request), rule.models(request)
        self._check_asked()

    async def check_again(self) -> None:
        """Pass if what was let in would be let in now, too. Raises Unauthenticated, PermissionDenied."""
        access = self._gate.access
        if self._generation == access.generation and self._identity.expires_at > access.now():
            return
        await self._identify()
        self._check_asked()

    def _check_asked(self) -> None:
        permissions, models = self._asked or ((), ())
        for permission in permissions:
            with self._noting_denials(permission.verb, models):
                self._gate.access.check(self._identity, permission, models)

    @contextmanager
    def _noting_denials(self, verb: Verb, models: Iterable[str] = ()) -> Iterator[None]:
        try:
            yield
        except errors.PermissionDenied:
            self._gate.denials.note(callers.current_caller(), self._method, verb, models)
            raise

    async def _identify(self) -> None:
        gate, context = self._gate, self._context
        metadata: Metadata = context.invocation_metadata() or ()
        self._generation = gate.access.generation
        if self._rule.permission.scope is not Scope.OPEN:
            credentials = gate.access.credentials_of(metadata, gate.certificate_of(context))
            self._identity = await gate.authentication.identify(credentials)
        callers.begin(callers.caller_of(metadata, gate.peer_of(context), self._identity))


def _check_beforehand(access: Access, identity: Identity, rule: MethodRule) -> None:
    """Refuse who would be refused whatever the message says, so that it is not even parsed."""
    permission = rule.permission
    if permission.scope is Scope.KNOWN or (
        permission.scope is Scope.EVERYTHING and rule.read_only is None
    ):
        access.check(identity, permission)
    elif permission.scope is not Scope.OPEN and not identity.is_known:
        verbs = (permission.verb, Verb.READ) if rule.read_only else (permission.verb,)
        if not any(access.rights.policy.may_somewhere(identity, verb) for verb in verbs):
            raise not_authenticated()
