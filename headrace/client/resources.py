"""The objects that the client returns: models, versions, aliases, routes, changes, statistics.

All are immutable. Times are seconds since the Unix epoch; an `etag` given back to a change makes it
conditional on nothing having changed since.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from headrace.state.gate_records import GateRecord
from headrace.state.language_records import LanguageFacts, VersionKind
from headrace.state.records import ArtifactFile, ServingConfig, Signature
from headrace.state.route_records import Canary, MatchRule, RequestKey, Shadow
from headrace.telemetry.costs import Prices
from headrace.telemetry.parts import LEFT_REASONS


@dataclass(frozen=True, slots=True)
class Model:
    """A model. `last_version` is the newest number ever given; `keep_latest` so many stay loaded.

    One that is `pinned` is not unloaded where replicas unload what is not used; one that is `protected`
    cannot be deleted.
    """

    name: str
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    keep_latest: int = 1
    last_version: int = 0
    created_at: float = 0.0
    etag: str = ""
    pinned: bool = False
    protected: bool = False
    gate: GateRecord | None = None
    """What must hold of a version's metrics before an alias or the route may name it."""
    kind: VersionKind | None = None
    """What its stable version is asked for; None before the first, and in answers to changes."""


@dataclass(frozen=True, slots=True)
class Version:
    """One immutable version of a model."""

    model: str
    number: int
    digest: str
    files: tuple[ArtifactFile, ...]
    graph_path: str
    signature: Signature
    config: ServingConfig
    created_at: float
    description: str = ""
    etag: str = ""
    notices: tuple[str, ...] = ()
    """What the registry says about it, a sentence of one line each."""
    signature_bundle: str = ""
    """Its signature, a bundle of model-signing; '' where it is not signed."""
    language: LanguageFacts | None = None
    """What its files say of a version that takes or gives text; None of one for tensors."""

    @property
    def kind(self) -> VersionKind:
        """Return what callers ask it for."""
        return self.language.kind if self.language else VersionKind.TENSORS

    @property
    def size_bytes(self) -> int:
        """The bytes of all its files."""
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Alias:
    """A movable name for a version."""

    model: str
    name: str
    version: int
    updated_at: float
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """A model's route: it decides for requests that name no version."""

    model: str
    stable: int
    canary: Canary | None = None
    previous: int | None = None
    updated_at: float = 0.0
    etag: str = ""
    more_canaries: tuple[Canary, ...] = ()
    """Further versions on trial, beside `canary`."""
    sticky_key: RequestKey | None = None
    """Where a request says for whom it is: the same text there always gets the same version."""
    matches: tuple[MatchRule, ...] = ()
    """Rules for requests that go to a version of their own; the first that fits counts."""
    shadow: Shadow | None = None
    """A version that gets copies of requests and answers nobody."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record that the client has no class for, as the registry keeps it."""

    collection: str
    fields: Mapping[str, object]


After: TypeAlias = Model | Version | Alias | Route | StoredRecord | None
"""A resource after a change; None where it was deleted."""


@dataclass(frozen=True, slots=True)
class ChangedResource:
    """A further resource of a change, and what was done to it."""

    kind: str
    resource: str
    after: After


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the registry's state; `after` is the resource, None where it was deleted.

    `further` has what else was done at the same revision, as when several aliases move together.
    """

    revision: int
    kind: str
    resource: str
    actor: str
    after: After
    further: tuple[ChangedResource, ...] = ()
    proof: str = ""
    """How it was proved who made it: `none` where the actor is only what the caller called itself."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Latency:
    """Quantiles of a duration, from the merged histogram, within 0.55 %.

    Durations below 1.024 µs or above 18 minutes are out of the range: of these only how many is known.
    """

    count: int
    mean_seconds: float
    p50_seconds: float
    p90_seconds: float
    p95_seconds: float
    p99_seconds: float
    p999_seconds: float
    below_range: int = 0
    above_range: int = 0


@dataclass(frozen=True, slots=True)
class PartStatistics:
    """The statistics of a part of a version's requests, told apart by a label."""

    label: str
    """reason, route, slice or caller."""
    value: str
    success_count: int
    error_count: int
    """Without those whose callers left."""
    left_count: int
    error_counts: Mapping[str, int]
    total: Latency
    failed: Latency
    """Of parts by reason: from reception to the error."""


MeasureValue = int | Mapping[str, int] | Mapping[int, int] | Latency
"""A count, counts by label, counts by size, or durations."""


@dataclass(frozen=True, slots=True)
class VersionStatistics:
    """The statistics of one version in a window; `replica` is set where asked for by replica.

    Version 0 stands for requests that reached none.
    """

    model: str
    version: int
    replica: str
    success_count: int
    error_count: int
    error_counts: Mapping[str, int]
    route_counts: Mapping[str, int]
    row_count: int
    execution_count: int
    batch_counts: Mapping[int, int]
    requests_per_second: float
    total: Latency
    queue: Latency
    compute: Latency
    failed: Latency
    """Of requests answered with an error; the others are of those answered well."""
    measures: Mapping[str, MeasureValue] = field(default_factory=dict)
    """All other counts by name: `row_capacity`, `load_time`, and what newer replicas count."""
    parts: tuple[PartStatistics, ...] = ()
    """Of parts of the requests, where they were asked for."""

    @property
    def left_count(self) -> int:
        """Count requests whose callers left before they were answered; `error_count` has them, too."""
        return sum(self.error_counts.get(reason, 0) for reason in LEFT_REASONS)

    @property
    def error_share(self) -> float:
        """The share of errors among the requests whose callers stayed, 0 to 1."""
        errors = self.error_count - self.left_count
        return errors / max(1, self.success_count + errors)

    @property
    def mean_batch_rows(self) -> float:
        """Rows a run of the model, on average; 0 if it never ran."""
        batches = sum(self.batch_counts.values())
        return self._batched_rows / batches if batches else 0.0

    @property
    def batch_fill(self) -> float | None:
        """The share of the rows that runs had room for that were used, 0 to 1; None where it is not known.

        Replicas of before this measure do not tell their room.
        """
        capacity = self.measures.get("row_capacity")
        if not isinstance(capacity, int) or capacity < max(self._batched_rows, 1):
            return None
        return self._batched_rows / capacity

    @property
    def load_time(self) -> Latency | None:
        """Return how long loads took, from start until ready; None where there were none."""
        return self._durations("load_time")

    @property
    def first_token(self) -> Latency | None:
        """Return how long first tokens took, from reception; None where no text was generated."""
        return self._durations("first_token")

    @property
    def between_tokens(self) -> Latency | None:
        """Return how long tokens took after the ones before; None where there were none."""
        return self._durations("between_tokens")

    @property
    def generated_tokens(self) -> int:
        """Count the tokens that were generated, by whichever route."""
        return self._sum("generated_tokens")

    @property
    def prompt_tokens(self) -> int:
        """Count the tokens of prompts, by whichever route."""
        return self._sum("prompt_tokens")

    @property
    def reused_prompt_share(self) -> float | None:
        """The share of the tokens of prompts that were not computed again; None where there were none."""
        reused = self.measures.get("reused_prompt_tokens", 0)
        if not (isinstance(reused, int) and self.prompt_tokens):
            return None
        return reused / self.prompt_tokens

    def _durations(self, name: str) -> Latency | None:
        found = self.measures.get(name)
        return found if isinstance(found, Latency) else None

    def _sum(self, name: str) -> int:
        found = self.measures.get(name)
        return sum(found.values()) if isinstance(found, Mapping) else 0

    @property
    def _batched_rows(self) -> int:
        return sum(rows * count for rows, count in self.batch_counts.items())


@dataclass(frozen=True, slots=True)
class ReplicaStatistics:
    """One replica's reporting: when it last did, how many reports it had to drop, how its clock is."""

    replica: str
    last_report_at: float
    dropped_reports: int
    clock_ahead_seconds: float = 0.0
    """How far its clock is ahead of the monitor's; negative where it is behind."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a window that the counts do not cover, or not wholly."""

    reason: str
    """TRIMMED, REPLICA_LOST, REPLICA_SILENT, REPORTS_MISSING, VERSIONS_FOLDED, MONITOR_AWAY, or one yet
    to come."""
    start_at: float
    end_at: float
    replica: str = ""
    """Whose counts; '' for those of all replicas."""
    boot_id: str = ""
    missing_reports: int = 0
    monitor: str = ""
    """The address of the monitor that did not answer."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """The statistics of a window, by version, and the replicas that reported."""

    start_at: float
    end_at: float
    versions: tuple[VersionStatistics, ...]
    replicas: tuple[ReplicaStatistics, ...]
    gaps: tuple[Gap, ...] = ()
    """What the counts do not cover, though it was asked for."""
    covered_seconds: float = 0.0
    """How long replicas' reports tell of: rates are taken over it. 0 also at an older monitor."""
    prices: Prices = field(default_factory=Prices)
    """What the monitor's settings say of prices."""
