"""The callers of a replica: who they are, which models they may call, and how much they may ask for.

What was decided is remembered by what a caller brings: a request whose token and model were seen before
costs two look-ups. Changed rights void all of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from headrace.errors import HeadraceError
from headrace.security.access import OPEN_ACCESS, Access
from headrace.security.credentials import (
    AUTHORIZATION,
    FORWARDED_CERTIFICATE,
    GATEWAY_SOCKET,
    Credentials,
    PeerCertificate,
)
from headrace.security.identities import Identity
from headrace.security.model_names import MAX_NAME
from headrace.security.policy import NO_LIMITS
from headrace.security.refusals import not_authenticated, rights_unknown
from headrace.security.verbs import Verb
from headrace_inference.domain.clock import Clock
from headrace_inference.domain.ingress.call_limits import CallLimiter
from headrace_inference.domain.routing.request_texts import Headers

MAX_CALLERS = 10_000
MAX_MODELS = 4096
"""Names that are remembered of one caller: callers choose them, so there may be no end."""

MAX_NAMES = 65_536
"""Names that are remembered of all callers together: one may come under many forms of his token."""

REMEMBERED_SECONDS = 60.0
"""So long a caller passes by what was found before; then it is asked for again whose token it is."""

_TWO = object()
"""Brought by a request with several values of one header: nobody is known by it."""

Tell = Callable[[HeadraceError | None], None]
"""Told that a token was verified, or why it is refused."""
Verify = Callable[[Credentials, Tell], None]
"""Has a token verified where that holds up nobody. Raises ResourceExhausted."""


class NotVerified(Exception):
    """A request brings a token that was not seen before; it is admitted once that is verified."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__("a token is to be verified first")
        self.credentials = credentials


@dataclass(slots=True, eq=False)
class KnownCaller:
    """A caller that was identified. `models` are the names that it may call."""

    identity: Identity
    until_ns: int
    limiter: CallLimiter | None
    models: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Memory:
    """What is remembered while the same rights hold."""

    generation: int
    by_token: int
    """The same where callers without a certificate bring nothing but tokens; else another number."""
    callers: dict[object, KnownCaller] = field(default_factory=dict)
    names: int = 0
    """Names of models that are remembered of all callers."""


def verify_here(access: Access) -> Verify:
    """Return what verifies tokens at once, on the thread that asks."""

    def verify(credentials: Credentials, tell: Tell) -> None:
        try:
            access.identify(credentials)
        except HeadraceError as error:
            tell(error)
        else:
            tell(None)

    return verify


def _token_in(metadata: Headers) -> object:
    """What a caller of a port is remembered by, as `_key_of` has it."""
    token: object = None
    for key, value in metadata:
        if key == AUTHORIZATION:
            token = value if token is None else _TWO
    return "" if token is None else token


def _forwarded_in(metadata: Headers) -> object:
    """The same of a caller behind a gateway."""
    token: object = None
    forwarded: object = None
    for key, value in metadata:
        if key == AUTHORIZATION:
            token = value if token is None else _TWO
        elif key == FORWARDED_CERTIFICATE:
            forwarded = value if forwarded is None else _TWO
    return "" if token is None else token, "" if forwarded is None else forwarded


def _key_of(credentials: Credentials) -> object:
    """What a caller is remembered by. What a gateway forwards counts only where it comes from one."""
    if credentials.header_keys:
        return id(credentials.certificate), credentials
    if credentials.certificate is None:
        return credentials.authorization
    if credentials.certificate is GATEWAY_SOCKET:  # no certificate is, whatever is in it
        return credentials.authorization, credentials.forwarded
    return credentials


class Callers:
    """Lets requests in. Any thread may ask."""

    def __init__(
        self, clock: Clock, access: Access = OPEN_ACCESS, verify: Verify | None = None
    ) -> None:
        self.access = access
        self.verify = verify or verify_here(access)
        self._clock = clock
        self._memory = self._empty()
        self._limiters: dict[str, CallLimiter] = {}
        self._limiting = threading.Lock()
        """Guards them: a subject has one, whichever thread asks first."""

    @property
    def are_checked(self) -> bool:
        """Return whether anybody is asked who he is."""
        return self.access.is_on

    def enter(
        self,
        metadata: Headers,
        model_name: str,
        now_ns: int,
        certificate: PeerCertificate | None = None,
    ) -> CallLimiter | None:
        """Let a request in; the limits of its caller, if it has any.

        Raises NotVerified, Unauthenticated, PermissionDenied, Unavailable (RIGHTS_UNKNOWN).
        """
        memory = self._memory
        if memory.by_token == self.access.generation:
            if certificate is None:
                known = memory.callers.get(_token_in(metadata))
            elif certificate is GATEWAY_SOCKET:
                known = memory.callers.get(_forwarded_in(metadata))
            else:
                known = None
            if known is not None and known.until_ns > now_ns and model_name in known.models:
                return known.limiter
        caller = self.caller(metadata, now_ns, certificate)
        if model_name not in caller.models:
            self._decide(caller, model_name)
        return caller.limiter

    def greet(
        self, metadata: Headers, now_ns: int, certificate: PeerCertificate | None = None
    ) -> None:
        """Let somebody in who has not said yet which models he calls.

        Raises NotVerified, Unauthenticated, Unavailable (RIGHTS_UNKNOWN).
        """
        identity = self.caller(metadata, now_ns, certificate).identity
        policy = self.access.rights.policy
        if not identity.is_known and not policy.may_somewhere(identity, Verb.INFER):
            raise not_authenticated()

    def check_regions(self, metadata: Headers, certificate: PeerCertificate | None) -> None:
        """Pass if whoever makes a request may register regions of shared memory: they are all callers'.

        Raises Unauthenticated, PermissionDenied.
        """
        access = self.access
        identity = access.identify(access.credentials_of(metadata, certificate))
        if not access.may(identity, Verb.ADMIN, ""):
            raise access.denied(identity, Verb.ADMIN, "")

    def caller(
        self, metadata: Headers, now_ns: int, certificate: PeerCertificate | None = None
    ) -> KnownCaller:
        """Return who makes a request. Raises NotVerified, Unauthenticated, Unavailable (RIGHTS_UNKNOWN)."""
        memory = self._memory
        if memory.generation != self.access.generation:
            memory = self._memory = self._renewed()
        credentials = self.access.credentials_of(metadata, certificate)
        brought = _key_of(credentials)
        caller = memory.callers.get(brought)
        if caller is None or caller.until_ns <= now_ns:
            caller = self._identified(credentials, now_ns)
            if len(memory.callers) >= MAX_CALLERS:
                memory.callers.clear()
            memory.callers[brought] = caller
        return caller

    def _empty(self) -> _Memory:
        generation = self.access.generation
        return _Memory(generation, -1 if self.access.header_keys.headers else generation)

    def _renewed(self) -> _Memory:
        """An empty memory, for the rights of now: its number is read before they are."""
        memory = self._empty()
        bindings = self.access.rights.policy.bindings
        with self._limiting:
            for subject in [subject for subject in self._limiters if subject not in bindings]:
                del self._limiters[subject]
        return memory

    def _identified(self, credentials: Credentials, now_ns: int) -> KnownCaller:
        access = self.access
        if not access.has_rights:
            raise rights_unknown()
        if access.takes_long(credentials.authorization):
            raise NotVerified(credentials)
        identity = access.identify(credentials)
        seconds = min(REMEMBERED_SECONDS, identity.expires_at - access.now())
        return KnownCaller(identity, now_ns + int(seconds * 1e9), self._limiter_of(identity))

    def _limiter_of(self, identity: Identity) -> CallLimiter | None:
        """Return its subject's, which goes on counting while the limits stay the same."""
        limits = self.access.rights.policy.limits_of(identity)
        if limits == NO_LIMITS:
            return None
        with self._limiting:
            limiter = self._limiters.get(identity.subject)
            if limiter is None or limiter.limits != limits:
                limiter = CallLimiter(identity.subject, limits, self._clock)
                self._limiters[identity.subject] = limiter
        return limiter

    def _decide(self, caller: KnownCaller, model_name: str) -> None:
        model = model_name.partition("@")[0]  # an alias is its model's
        if not self.access.may(caller.identity, Verb.INFER, model):
            raise self.access.denied(caller.identity, Verb.INFER, model)
        if len(model_name) > MAX_NAME:
            return
        memory = self._memory
        memory.names += 1
        if memory.names >= MAX_NAMES:
            memory.names = 0
            memory.callers.clear()
        if len(caller.models) >= MAX_MODELS:
            caller.models.clear()
        caller.models[model_name] = None
