"""Admits requests of a port: who calls, and whether he may, by the table of routes.

What was found out about a head is kept with it: a request that repeats a head asks for the same, and is
of the same caller, as long as nothing that decides has changed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from headrace import errors
from headrace.security.access import Access
from headrace.security.callers import caller_of
from headrace.security.credentials import Credentials
from headrace.security.identities import NOBODY, Identity
from headrace.security.model_names import model_in
from headrace.security.routes import MODEL_NAME, ROUTES
from headrace.security.verbs import Permission, Scope
from headrace.service.authentication import Authentication
from headrace.service.denials import DenialLog
from headrace.service.http.answers import bug
from headrace.service.http.requests import Body, Exchange, Request
from headrace.service.http.router import Match

logger = logging.getLogger(__name__)

Open = Callable[[Request], Exchange]
Refuse = Callable[[Request, errors.HeadraceError], Exchange]
AuthorizationOf = Callable[[Request], str]
"""Finds the value of `authorization` that a request without that header stands for; '' for none."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What was found out about a head: whose it is, and that he may, until something changes."""

    identity: Identity
    generation: int


class HttpGate:
    """Admits the requests of one port."""

    def __init__(self, access: Access, authorization_of: AuthorizationOf | None = None) -> None:
        self.access = access
        self.authentication = Authentication(access)
        self.denials = DenialLog()
        self._authorization_of = authorization_of
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, request: Request, match: Match[Open], refuse: Refuse) -> Exchange:
        """Begin with a request whose route was found, or refuse it."""
        seen, access = request.head.admitted, self.access
        if (
            isinstance(seen, Admitted)
            and seen.generation == access.generation
            and seen.identity.expires_at > access.now()
            and request.certificate is None
        ):
            request.identity = seen.identity
            return match.handler(request)
        try:
            return self._look(request, match)
        except errors.HeadraceError as error:
            return refuse(request, error)

    def _look(self, request: Request, match: Match[Open]) -> Exchange:
        permission = _permission(request, match)
        if permission.scope is Scope.OPEN:
            request.identity = NOBODY
            return match.handler(request)
        generation = self.access.generation
        credentials = self._credentials(request)
        identity = self.authentication.at_once(credentials)
        if identity is None:
            identifying = self._identify(request, permission, credentials)
            return LateExchange(match.handler(request), identifying, self._tasks)
        self._check(request, permission, identity)
        # a certificate belongs to a connection, and a session may end: neither is told by the head alone
        if request.certificate is None and credentials.authorization == request.head.get(
            "authorization"
        ):
            request.head.admitted = Admitted(identity, generation)
        return match.handler(request)

    def _credentials(self, request: Request) -> Credentials:
        found = self.access.credentials_of(request.head.headers, request.certificate)
        if found.authorization or self._authorization_of is None:
            return found
        value = self._authorization_of(request)
        return Credentials(value, found.certificate, found.forwarded)

    async def _identify(
        self, request: Request, permission: Permission, credentials: Credentials
    ) -> None:
        self._check(request, permission, await self.authentication.identify(credentials))

    def _check(self, request: Request, permission: Permission, identity: Identity) -> None:
        models = (model_in(request.names.get(MODEL_NAME, "")),)
        try:
            self.access.check(identity, permission, models)
        except errors.PermissionDenied:
            head = request.head
            caller = caller_of(head.headers, request.remote, identity)
            self.denials.note(caller, f"{head.method} {head.path}", permission.verb, models)
            raise
        request.identity = identity


def _permission(request: Request, match: Match[Open]) -> Permission:
    method = request.head.method
    permission = ROUTES.get(("GET" if method == "HEAD" else method, match.template))
    if permission is None:
        raise errors.PermissionDenied(
            "PERMISSION_DENIED",
            f"nobody may ask for {match.template} with {method}: no permission names it",
        )
    return permission


class LateExchange:
    """Holds a request back until its caller is known, which takes a moment where he is new."""

    __slots__ = ("_body", "_is_admitted", "_later", "_task", "max_body_bytes")

    def __init__(
        self,
        later: Exchange,
        identifying: Coroutine[None, None, None],
        tasks: set[asyncio.Task[None]],
    ) -> None:
        self.max_body_bytes = later.max_body_bytes
        self._later = later
        self._body: Body | None = None
        self._is_admitted = False
        self._task = task = asyncio.get_running_loop().create_task(self._admit(identifying))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _admit(self, identifying: Coroutine[None, None, None]) -> None:
        try:
            await identifying
        except errors.HeadraceError as error:
            error.forget_history()
            self._later.fail(error)
            return
        except Exception:
            logger.exception("a bug ended a request before its caller was known")
            self._later.fail(bug())
            return
        self._is_admitted = True
        if self._body is not None:
            body, self._body = self._body, None
            self._later.take_body(body)

    def take_part(self, size: int) -> None:
        """So many bytes of the body have come. Raises HeadraceError."""
        self._later.take_part(size)

    def take_body(self, body: Body) -> None:
        """Keep the body until its sender is known."""
        if self._is_admitted:
            self._later.take_body(body)
        else:
            self._body = body

    def fail(self, error: errors.HeadraceError) -> None:
        """The body is not what it should be."""
        self._task.cancel()
        self._later.fail(error)

    def leave(self) -> None:
        """The client has gone."""
        self._task.cancel()
        self._later.leave()
