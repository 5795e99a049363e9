"""The words of permissions: what can be done with a model, and what a call has to be allowed for."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verb(enum.StrEnum):
    """A right. It is held for the models whose names fit a pattern."""

    INFER = "infer"
    """Call the model."""
    READ = "read"
    """See it: its versions, signature, statistics, and its artifacts."""
    PUSH = "push"
    """Make it, change what it says of itself, push versions. It does not include `route`."""
    ROUTE = "route"
    """Move its route and its aliases: decide what callers get."""
    LABEL = "label"
    """Tell the truth about what it answered."""
    DELETE = "delete"
    """Delete it or its versions."""
    ADMIN = "admin"
    """Operate the suite: keys, roles, grants, the settings of servers."""
    SERVICE = "service"
    """Be a part of the suite: a replica, a monitor, a gateway."""


class Scope(enum.Enum):
    """The models for which a call needs its verb."""

    OPEN = "open"
    """None; nobody is asked who he is."""
    KNOWN = "known"
    """None, but the caller has to be somebody."""
    MODEL = "model"
    """Those that the request names. A request that names none needs it for all."""
    FILTERED = "filtered"
    """Those that the request names. Where it names none, the answer has only what the caller may see."""
    CONTENT = "content"
    """Those that the service finds to be meant. Callers that are nobody need it for some model."""
    EVERYTHING = "everything"
    """All."""


@dataclass(frozen=True, slots=True)
class Permission:
    """What it takes to make a call: the verb, and for which models."""

    scope: Scope
    verb: Verb = Verb.READ

    def __str__(self) -> str:
        """It in words, for a table."""
        if self.scope in (Scope.OPEN, Scope.KNOWN):
            return str(self.scope.value)
        return f"{self.verb} ({self.scope.value})"


OPEN = Permission(Scope.OPEN)
KNOWN = Permission(Scope.KNOWN)
