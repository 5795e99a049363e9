"""The nouns of access: API keys, roles, and what subjects are granted. The registry alone writes them.

Verbs and roles are texts here: a process that does not know one of a newer registry passes over it, and
so denies what it does not understand.
"""

from __future__ import annotations

from dataclasses import dataclass

KEY_PREFIX = "keys/"
ROLE_PREFIX = "roles/"
BINDING_PREFIX = "bindings/"


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """An API key without its secret. `digest`: SHA-256 of the key, in hex."""

    id: str
    subject: str
    digest: str
    created_at: float
    expires_at: float = 0.0
    """0: never."""
    disabled: bool = False
    """Whether it was revoked."""
    created_by: str = ""
    note: str = ""
    revision: int = 0

    @property
    def name(self) -> str:
        """The resource's name."""
        return f"{KEY_PREFIX}{self.id}"

    def is_live(self, now: float) -> bool:
        """Return whether it opens anything at this time."""
        return not self.disabled and not 0 < self.expires_at <= now


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """Verbs, for the models whose names fit one of the patterns."""

    verbs: tuple[str, ...]
    models: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """A name for rules."""

    id: str
    rules: tuple[RuleRecord, ...] = ()
    description: str = ""
    updated_at: float = 0.0
    revision: int = 0

    @property
    def name(self) -> str:
        """The resource's name."""
        return f"{ROLE_PREFIX}{self.id}"


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """A role that a subject has, for the models that fit one of these patterns and the role's own."""

    role: str
    models: tuple[str, ...] = ("*",)


@dataclass(frozen=True, slots=True)
class CallLimitsRecord:
    """The most that a subject may ask of one replica; 0: no limit."""

    requests_per_second: float = 0.0
    rows_per_second: float = 0.0
    in_flight: int = 0


NO_CALL_LIMITS = CallLimitsRecord()


@dataclass(frozen=True, slots=True)
class BindingRecord:
    """All that a subject has: its grants, and its limits."""

    subject: str
    grants: tuple[GrantRecord, ...] = ()
    limits: CallLimitsRecord = NO_CALL_LIMITS
    updated_at: float = 0.0
    revision: int = 0

    @property
    def name(self) -> str:
        """The resource's name."""
        return f"{BINDING_PREFIX}{self.subject}"
