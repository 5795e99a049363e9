"""The rules: what each looks for, how long it has to be there, and who is told.

A key of a file is a field here. Lengths of time are texts, such as 5m; shares go from 0 to 1.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import ClassVar, Literal

import msgspec

from headrace.alert_rules.durations import seconds_of

Severity = Literal["info", "ticket", "page"]
SEVERITIES: tuple[Severity, ...] = ("info", "ticket", "page")
"""The least first."""

DataFault = Literal["missing", "infinite", "out_of_range", "new_category"]
QualityMeasure = Literal[
    "accuracy", "precision", "recall", "f1", "roc_auc", "mse", "mae", "estimated_accuracy"
]
ERRORS_OF_MEASURES = frozenset({"mse", "mae"})
"""Those that are worse the larger they are."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """What all rules have."""

    kind: ClassVar[str]

    name: str
    severity: Severity = "ticket"
    models: tuple[str, ...] = ()
    """Patterns of names (`*`: any text); none: all models."""
    versions: tuple[int, ...] = ()
    hold: str = msgspec.field(default="1m", name="for")
    """How long it has to be there before it fires."""
    resolve_after: str = "2m"
    """How long it has to be gone before it is resolved."""
    receivers: tuple[str, ...] = ()
    """Names of receivers; none: all."""
    summary: str = ""
    """What it is, for people; '' for the words that come with its kind."""
    look_at: str = ""
    """What to do; '' for what comes with its kind."""
    enabled: bool = True

    @property
    def hold_seconds(self) -> float:
        """How long it has to be there before it fires."""
        return seconds_of(self.hold)

    @property
    def resolve_seconds(self) -> float:
        """How long it has to be gone before it is resolved."""
        return seconds_of(self.resolve_after)

    def is_about(self, model: str, version: int = 0) -> bool:
        """Return whether it looks at this version."""
        return fits(self.models, model) and (not self.versions or version in self.versions)

    def durations(self) -> dict[str, str]:
        """Its lengths of time by key."""
        return {"for": self.hold, "resolve_after": self.resolve_after}


class BurnWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A budget that burns so fast over both windows: the long one says that it matters, the short that it
    still goes on."""

    long: str
    short: str
    rate: float
    severity: Severity = "ticket"


FAST = BurnWindow(long="1h", short="5m", rate=14.4, severity="page")
SLOW = BurnWindow(long="6h", short="30m", rate=6.0, severity="ticket")
"""2 % of a budget of 30 days in an hour, 5 % in six."""


class Objective(Rule, tag="objective", frozen=True, kw_only=True):
    """A share of requests has to be good: answered, or with `latency` answered within that time."""

    kind = "objective"

    target: float
    """The share, such as 0.999."""
    latency: str = ""
    """'': good is what was answered without an error that is not the caller's."""
    period: str = "30d"
    """The time that the budget is for, up to 30 d."""
    by: Literal["model", "version"] = "model"
    burn: tuple[BurnWindow, ...] = (FAST, SLOW)
    min_requests: int = 10
    """Requests in the short window, for it to count."""
    hold: str = msgspec.field(default="0s", name="for")

    @property
    def period_seconds(self) -> float:
        """The time that the budget is for."""
        return seconds_of(self.period)

    @property
    def latency_seconds(self) -> float:
        """The time within which requests have to be answered; 0 where they have to be answered at all."""
        return seconds_of(self.latency) if self.latency else 0.0

    def durations(self) -> dict[str, str]:
        """Its lengths of time by key."""
        of_latency = {"latency": self.latency} if self.latency else {}
        return {**super().durations(), "period": self.period, **of_latency}


class Errors(Rule, tag="errors", frozen=True, kw_only=True):
    """More than a share of requests end with an error."""

    kind = "errors"

    above: float = 0.01
    """The share."""
    reasons: tuple[str, ...] = ()
    """Patterns of reasons; none: all that are not the callers' mistakes."""
    except_reasons: tuple[str, ...] = ()
    """Patterns of reasons that are left out."""
    by: Literal["version", "slice"] = "version"
    """slice: of each slice that replicas tell apart, where its share is twice that of its version, too."""
    slices: tuple[str, ...] = ()
    """Patterns of slices, with by = "slice"; none: all."""
    window: str = "5m"
    min_requests: int = 20

    def durations(self) -> dict[str, str]:
        """Its lengths of time by key."""
        return {**super().durations(), "window": self.window}


class Latency(Rule, tag="latency", frozen=True, kw_only=True):
    """A quantile of the latency is above a time."""

    kind = "latency"

    above: str
    quantile: float = 0.99
    window: str = "5m"
    min_requests: int = 100

    @property
    def above_seconds(self) -> float:
        """The time."""
        return seconds_of(self.above)

    def durations(self) -> dict[str, str]:
        """Its lengths of time by key."""
        return {**super().durations(), "window": self.window, "above": self.above}


class Slower(Rule, tag="slower", frozen=True, kw_only=True):
    """A version's runs take longer than they did at the same load, as the tests of minutes have it."""

    kind = "slower"

    above: float = 0.05
    """By how much longer at least; the tests see nothing below 0.05."""
    hold: str = msgspec.field(default="0s", name="for")


class Drift(Rule, tag="drift", frozen=True, kw_only=True):
    """Fields of a version's data look different from its reference, as the tests of drift have it."""

    kind = "drift"

    fields: tuple[str, ...] = ()
    """Patterns of fields; none: all."""
    slices: tuple[str, ...] = ()
    """Patterns of slices; none: all."""
    min_fields: int = 1
    min_psi: float = 0.0
    """Only fields whose population stability index is at least this."""
    hold: str = msgspec.field(default="0s", name="for")


class DataQuality(Rule, tag="data_quality", frozen=True, kw_only=True):
    """A field is missing, infinite, out of range or new in more rows than its reference has it."""

    kind = "data_quality"

    faults: tuple[DataFault, ...] = ("missing", "infinite", "out_of_range", "new_category")
    above: float = 0.01
    """The share of rows, beyond that of the reference."""
    fields: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    min_rows: int = 100


class Quality(Rule, tag="quality", frozen=True, kw_only=True):
    """Answers are less often right than they should be, by labels, or by an estimate without them."""

    kind = "quality"

    measure: QualityMeasure = "accuracy"
    below: float | None = None
    """The value that it must not be below; above, for mse and mae."""
    drop: float | None = None
    """By how much it may be worse than the reference."""
    min_labels: int = 100
    slices: tuple[str, ...] = ()


class MissingTelemetry(Rule, tag="missing_telemetry", frozen=True, kw_only=True):
    """Reports of a replica are missing, or do not come: figures do not cover what it does."""

    kind = "missing_telemetry"

    window: str = "15m"
    """How far back it looks."""

    def durations(self) -> dict[str, str]:
        """Its lengths of time by key."""
        return {**super().durations(), "window": self.window}


class ReplicaLost(Rule, tag="replica_lost", frozen=True, kw_only=True):
    """A replica ended without a last report: it was killed, or its machine is gone."""

    kind = "replica_lost"

    replicas: tuple[str, ...] = ()
    """Patterns of ids; none: all."""
    window: str = "15m"
    """So long after it was lost it is told."""

    def durations(self) -> dict[str, str]:
        """Its lengths of time by key."""
        return {**super().durations(), "window": self.window}


class VersionNotReady(Rule, tag="version_not_ready", frozen=True, kw_only=True):
    """A version that should serve is not ready on a replica."""

    kind = "version_not_ready"


AnyRule = (
    Objective
    | Errors
    | Latency
    | Slower
    | Drift
    | DataQuality
    | Quality
    | MissingTelemetry
    | ReplicaLost
    | VersionNotReady
)


def fits(patterns: tuple[str, ...], text: str) -> bool:
    """Return whether one of the patterns fits, or there is none."""
    return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)
