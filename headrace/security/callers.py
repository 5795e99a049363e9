"""The caller of the request that is being handled, as services record it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from headrace.security.identities import ANONYMOUS, NOBODY, Identity

ACTOR_KEY = "x-headrace-actor"
"""The metadata in which a caller names itself: a claim, and a note beside a proved identity."""

MAX_ACTOR = 128


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call: the name it goes by, the address it comes from, and the proved identity.

    Where nothing was proved `actor` is what the caller says of itself. A proved one's is its subject.
    """

    actor: str
    peer: str = ""
    identity: Identity = NOBODY


_NOBODY = Caller(ANONYMOUS)
_current: ContextVar[Caller] = ContextVar("headrace_caller", default=_NOBODY)


def caller_of(
    metadata: Iterable[tuple[str, str | bytes]], peer: str, identity: Identity = NOBODY
) -> Caller:
    """Return the caller of a call: the identity that was proved, or the one that its metadata claims."""
    if identity.is_known:
        return Caller(identity.subject, peer, identity)
    return Caller(_claimed(metadata) or ANONYMOUS, peer)


def _claimed(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    for key, value in metadata:
        if key == ACTOR_KEY and isinstance(value, str) and value:
            return value[:MAX_ACTOR]
    return ""


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
