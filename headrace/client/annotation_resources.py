"""What the client hands out of annotations. All are immutable; times are seconds since the Unix epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.client.resources import Version
from headrace.state.annotation_records import CARD_PATH, Attachment, Lineage, Metric

__all__ = ["CARD_PATH", "Attachment", "FoundVersion", "Lineage", "Metric", "VersionAnnotations"]


@dataclass(frozen=True, slots=True)
class VersionAnnotations:
    """All that is said of a version: by its push and later."""

    model: str
    version: int
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    """Hides that of the version where it is not ''."""
    metrics: tuple[Metric, ...] = ()
    lineage: Lineage | None = None
    attachments: tuple[Attachment, ...] = ()
    updated_at: float = 0.0
    """0.0 where nothing was said ever."""
    etag: str = ""

    def metric(self, name: str, slice: str = "", data_digest: str = "") -> Metric | None:  # noqa: A002  # its name
        """The metric of a name and a slice that was measured last, on some data if they are named."""
        found = [
            each
            for each in self.metrics
            if (each.name, each.slice) == (name, slice) and data_digest in ("", each.data_digest)
        ]
        return max(found, key=lambda each: each.measured_at, default=None)

    def attachment(self, path: str) -> Attachment | None:
        """The attachment at a path, or None."""
        return next((each for each in self.attachments if each.path == path), None)


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """A version that a search found, what is said of it, and the aliases that name it."""

    version: Version
    annotations: VersionAnnotations
    aliases: tuple[str, ...] = ()
