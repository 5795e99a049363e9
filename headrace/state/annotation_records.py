"""What people and tools say of versions: tags, metrics, lineage, and files that belong to them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.resource_names import annotations_resource
from headrace.state.records import ArtifactFile

_SHARED = ("name", "slice", "data_digest", "data_name")
CARD_PATH = "card.md"
"""The attachment that is the model card of a version, in Markdown."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A value that was measured of a version, in a slice of some data ('' is all of them).

    `lower` and `upper` are the ends of an interval, which holds the true value with the probability
    `confidence`. `measured_at` is in seconds since the Unix epoch.
    """

    name: str
    value: float
    slice: str = ""
    data_digest: str = ""
    """The SHA-256 of the data, 64 hex digits; '' where it is not known."""
    data_name: str = ""
    lower: float | None = None
    upper: float | None = None
    confidence: float = 0.0
    rows: int = 0
    measured_at: float = 0.0

    def __post_init__(self) -> None:
        """Share texts with other metrics that have the same: a registry holds those of all versions."""
        for name in _SHARED:
            object.__setattr__(self, name, sys.intern(str(getattr(self, name))))

    @property
    def key(self) -> tuple[str, str, str]:
        """Of metrics with the same key, the newest counts."""
        return self.name, self.slice, self.data_digest


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a version is from; '' and 0 where that is not known."""

    parent_version: int = 0
    method: str = ""
    """As `train`, `optimise: dynamic-int8`, `retrain`."""
    command: str = ""
    source_revision: str = ""
    data_digest: str = ""
    """Of the data that it was trained or calibrated on."""
    training_run: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that belongs to a version beside its artifact."""

    path: str
    media_type: str
    size_bytes: int
    sha256: str
    created_at: float = 0.0

    @property
    def file(self) -> ArtifactFile:
        """It, as artifacts' files are fetched and counted."""
        return ArtifactFile(self.path, self.size_bytes, self.sha256)


@dataclass(frozen=True, slots=True)
class AnnotationRecord:
    """All that is said of one version."""

    model: str
    number: int
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    """Hides that of the version where it is not ''."""
    metrics: tuple[Metric, ...] = ()
    lineage: Lineage | None = None
    attachments: tuple[Attachment, ...] = ()
    updated_at: float = 0.0
    revision: int = 0

    @property
    def name(self) -> str:
        """The resource's name, by which it is kept."""
        return annotations_resource(self.model, self.number)

    @property
    def key(self) -> str:
        """For people: whose they are."""
        return f"{self.model}/{self.number} (its annotations)"
