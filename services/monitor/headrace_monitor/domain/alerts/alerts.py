"""Alerts: what a rule found of one subject, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import quote, urlencode


class State(StrEnum):
    """What an alert has come to."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Level(Enum):
    """What a look at a subject says."""

    OVER = "over"
    """What the rule looks for is there."""
    NEAR = "near"
    """It is not, by little: an alert that fires goes on, so that it does not flap."""
    UNKNOWN = "unknown"
    """Figures are missing: an alert stays what it is."""
    CLEAR = "clear"
    """It is not there."""


class Subject(NamedTuple):
    """What an alert is about: whatever is '' or 0 does not matter to it."""

    model: str = ""
    version: int = 0
    replica: str = ""
    part: str = ""
    """Tells several alerts of a rule apart that are about the same: the windows of an objective, say."""


@dataclass(frozen=True, slots=True)
class AlertField:
    """A field of the data that has to do with an alert."""

    field: str
    finding: str
    measure: str = ""
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast a budget burns over a window; `threshold` 0 where no rule is about it."""

    window_seconds: float
    rate: float
    threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class ObjectiveStatus:
    """How an objective stands."""

    rule: str
    model: str
    version: int
    target: float
    latency_seconds: float
    period_seconds: float
    requests: int = 0
    bad: int = 0
    covered_seconds: float = 0.0
    burns: tuple[Burn, ...] = ()
    incomplete: tuple[str, ...] = ()

    @property
    def good_share(self) -> float:
        """The share of good requests; 1 where there were none."""
        return 1.0 - self.bad / self.requests if self.requests else 1.0

    @property
    def budget_left(self) -> float:
        """What is left of the budget of the requests that there were, 1 for all; negative: overdrawn."""
        allowed = self.requests * (1.0 - self.target)
        return 1.0 - self.bad / allowed if allowed else 1.0


@dataclass(frozen=True, slots=True)
class Observation:
    """What a look at a subject found."""

    subject: Subject
    level: Level
    value: float = 0.0
    threshold: float = 0.0
    unit: str = ""
    finding: str = ""
    """What is wrong, in a line, with the figures."""
    slices: tuple[str, ...] = ()
    fields: tuple[AlertField, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    request_ids: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()
    objective: ObjectiveStatus | None = None
    severity: str = ""
    """'': the rule's."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Who looks after an alert."""

    by: str
    at_ns: int
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Alert:
    """What a rule found of a subject. Times `_ns` are the clock's, `_steady_ns` those it grows old by."""

    id: str
    rule: str
    kind: str
    severity: str
    state: State
    look_at: str
    seen: Observation
    start_ns: int
    start_steady_ns: int
    update_ns: int
    worst: float
    fire_ns: int = 0
    resolve_ns: int = 0
    clear_steady_ns: int = 0
    """Since when it fires and what it is about is not there; 0 while it is."""
    about: str = ""
    """What the rule says of itself."""
    told: Mapping[str, int] = field(default_factory=dict)
    """When each receiver was told last that it fires, by the steady time."""
    told_ns: int = 0
    acknowledged: Acknowledgement | None = None
    silence: str = ""
    """The silence that has nobody told."""

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return self.seen.subject

    @property
    def summary(self) -> str:
        """What is wrong, in a line."""
        subject, finding = self.subject, self.seen.finding or self.about
        if not subject.model:
            return finding
        return (
            f"{subject.model}{f' version {subject.version}' if subject.version else ''}: {finding}"
        )

    @property
    def link(self) -> str:
        """The console's page that shows it, from its root."""
        return link_of(self)


def id_of(rule: str, subject: Subject) -> str:
    """Return the id of what a rule says of a subject: the same each time."""
    text = "\0".join((rule, subject.model, str(subject.version), subject.replica, subject.part))
    return blake2b(text.encode(errors="surrogatepass"), digest_size=6).hexdigest()


VIEWS = {"drift": "/drift", "data_quality": "/drift", "quality": "/quality"}
"""The view of a model's page that shows alerts of a kind; the first one shows others."""


def link_of(alert: Alert) -> str:
    """Return the console's page that shows what an alert is about, from its root.

    Behind # stands what the page itself reads; no server sees it.
    """
    subject, seen = alert.subject, alert.seen
    more: dict[str, str] = {"alert": alert.id}
    if subject.version:
        more["version"] = str(subject.version)
    if seen.fields:
        more["field"] = seen.fields[0].field
    if seen.slices and seen.slices[0]:
        more["slice"] = seen.slices[0]
    if subject.model:
        view = VIEWS.get(alert.kind, "")
        return f"/#/models/{quote(subject.model, safe='')}{view}?{urlencode(more)}"
    if subject.replica:
        return f"/#/replicas?{urlencode({'search': subject.replica, **more})}"
    return f"/#/alerts/{alert.id}"
