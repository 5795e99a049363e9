"""Who makes a call: the one place where a call's identity is established.

Until the suite authenticates, a caller names itself in the metadata `x-headrace-actor`; what it says is
recorded with every change as what it is, a claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

ACTOR_KEY = "x-headrace-actor"
ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call: the name it goes by, and the address it comes from."""

    actor: str
    peer: str = ""


_NOBODY = Caller(ANONYMOUS)
_current: ContextVar[Caller] = ContextVar("headrace_caller", default=_NOBODY)


def identify(metadata: Iterable[tuple[str, str | bytes]], peer: str) -> Caller:
    """The caller that a call's metadata claims to be, or the anonymous one."""
    for key, value in metadata:
        if key == ACTOR_KEY and isinstance(value, str) and value:
            return Caller(value[:128], peer)
    return Caller(ANONYMOUS, peer)


def current_caller() -> Caller:
    """The caller of the request that is being handled."""
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
