"""What the client hands out of access: API keys, roles, what subjects have, and who calls.

All are immutable. Times are seconds since the Unix epoch, 0 where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without its secret. `live`: whether it opens anything now."""

    id: str
    subject: str
    live: bool
    created_at: float
    expires_at: float = 0.0
    """0: it does not end."""
    revoked: bool = False
    created_by: str = ""
    note: str = ""
    last_used_on: str = ""
    """The day of its last use, `2026-11-29` in UTC; '' where none is known."""


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """An API key that was just made, with its secret, which cannot be read again."""

    key: ApiKey
    secret: str = field(repr=False)
    former: ApiKey | None = None
    """The key whose place it takes, and when that ends."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Verbs (infer, read, push, route, label, delete, admin, service), for models by patterns of their
    names."""

    verbs: tuple[str, ...]
    models: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class Role:
    """A name for rules. One that is built in cannot be changed."""

    name: str
    rules: tuple[Rule, ...]
    description: str = ""
    built_in: bool = False
    updated_at: float = 0.0
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that a subject has, for models by patterns of their names."""

    role: str
    models: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class CallLimits:
    """The most that a subject may ask of each replica; 0: no limit."""

    requests_per_second: float = 0.0
    rows_per_second: float = 0.0
    in_flight: int = 0


@dataclass(frozen=True, slots=True)
class Binding:
    """All that a subject has: its grants, and its limits."""

    subject: str
    grants: tuple[Grant, ...] = ()
    limits: CallLimits = CallLimits()
    updated_at: float = 0.0
    etag: str = ""


@dataclass(frozen=True, slots=True)
class CallerInfo:
    """Who calls, how that is known, and what he may do: models' patterns by verb."""

    subject: str
    proof: str
    """`api-key`, `jwt`, `certificate`, or `none`."""
    detail: str
    groups: tuple[str, ...]
    expires_at: float
    rights: Mapping[str, tuple[str, ...]]
    limits: CallLimits
    grants: tuple[Grant, ...]
    enforced: bool
    """Whether the registry asks at all; where it does not, everybody may do everything."""
