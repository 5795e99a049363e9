"""The caller of the request that is being handled, as services record it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from headrace.security.identities import ANONYMOUS, NOBODY, Identity

ACTOR_KEY = "x-headrace-actor"
"""The metadata in which a caller names itself: a claim, and a note beside a proved identity."""

REASON_KEY = "headrace-reason"
"""The metadata in which a caller says why it changes something, percent-encoded UTF-8. It proves nothing,
so a gateway, which takes away all that begins with x-headrace-, lets it pass."""

MAX_ACTOR = 128
_MAX_REASON_BYTES = 8192
"""More than the longest reason takes when all of it is encoded: what is longer is refused all the same."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call: the name it goes by, the address it comes from, and the proved identity.

    Where nobody has to prove anything `actor` is what the caller says of itself. Elsewhere it is the
    subject that was proved, or anonymous.
    """

    actor: str
    peer: str = ""
    identity: Identity = NOBODY
    claim: str = ""
    """What the caller calls itself, whether or not anything was proved."""
    reason: str = ""
    """Why it calls, as it was sent: not looked at yet."""


_NOBODY = Caller(ANONYMOUS)
_current: ContextVar[Caller] = ContextVar("headrace_caller", default=_NOBODY)


def caller_of(
    metadata: Iterable[tuple[str, str | bytes]], peer: str, identity: Identity | None = None
) -> Caller:
    """Return the caller of a call.

    With an identity, be it nobody's, what the metadata claims is a note. None: nobody was asked for one.
    """
    claim = reason = ""
    for key, value in metadata:
        if key == ACTOR_KEY and isinstance(value, str):
            claim = claim or value[:MAX_ACTOR]
        elif key == REASON_KEY and isinstance(value, str):
            reason = value[:_MAX_REASON_BYTES]
    name = (claim or ANONYMOUS) if identity is None else identity.subject
    return Caller(name, peer, identity or NOBODY, claim, reason)


def current_caller() -> Caller:
    """Return the caller of the request that is being handled."""
    return _current.get()


def begin(caller: Caller) -> None:
    """Attribute to this caller what the present task does from here on."""
    _current.set(caller)


@contextmanager
def calling(caller: Caller) -> Iterator[None]:
    """Attribute to this caller what is done inside."""
    token = _current.set(caller)
    try:
        yield
    finally:
        _current.reset(token)
