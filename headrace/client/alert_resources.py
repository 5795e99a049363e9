"""Alerts, rules, silences and objectives as the client hands them out; times in seconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AlertField:
    """A field of the data that has to do with an alert."""

    field: str
    finding: str
    measure: str
    value: float


@dataclass(frozen=True, slots=True)
class BurnRate:
    """How fast a budget of errors burns over a window; 1 uses it up in exactly its period."""

    window_seconds: float
    rate: float
    threshold: float


@dataclass(frozen=True, slots=True)
class ObjectiveStatus:
    """How a service objective stands."""

    rule: str
    model: str
    version: int
    target: float
    latency_seconds: float
    period_seconds: float
    requests: int
    bad: int
    good_share: float
    budget_left: float
    covered_seconds: float
    burn_rates: tuple[BurnRate, ...] = ()
    incomplete: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Alert:
    """What a rule found, since when, how bad, where, and what to look at. A time of 0 did not come yet."""

    id: str
    rule: str
    kind: str
    state: str
    """pending, firing or resolved."""
    severity: str
    """page, ticket or info."""
    model: str
    version: int
    replica: str
    summary: str
    look_at: str
    value: float
    threshold: float
    unit: str
    worst: float
    started_at: float
    fired_at: float
    resolved_at: float
    updated_at: float
    slices: tuple[str, ...] = ()
    fields: tuple[AlertField, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    request_ids: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()
    objective: ObjectiveStatus | None = None
    acknowledged_by: str = ""
    acknowledged_at: float = 0.0
    comment: str = ""
    silence: str = ""
    notified_at: float = 0.0
    link: str = ""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """A rule that is in force; `toml` is all of it, as a file has it."""

    name: str
    kind: str
    severity: str
    summary: str
    look_at: str
    models: tuple[str, ...]
    hold_seconds: float
    resolve_after_seconds: float
    receivers: tuple[str, ...]
    shipped: bool
    disabled: bool
    toml: str


@dataclass(frozen=True, slots=True)
class AlertReceiver:
    """Where notifications go, and how it goes with that."""

    name: str
    kind: str
    address: str
    delivered: int
    failed: int
    dropped: int
    waiting: int
    problem: str
    delivered_at: float


@dataclass(frozen=True, slots=True)
class AlertRules:
    """All rules, and, for callers who administrate, the receivers and the file that was applied."""

    rules: tuple[AlertRule, ...]
    receivers: tuple[AlertReceiver, ...]
    source: str
    etag: str
    path: str


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What a file of rules changes."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    diff: str
    etag: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts that nobody is told of, until a time."""

    id: str
    model: str
    rule: str
    version: int
    replica: str
    ends_at: float
    comment: str
    creator: str
    created_at: float
    alerts: int
