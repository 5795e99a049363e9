"""Edits of what is said of a version, at its push or later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from headrace.state.annotation_records import AnnotationRecord, Lineage, Metric
from headrace.state.unknown_fields import with_unknown_of

UPDATE_ANNOTATIONS = "annotations.update"


@dataclass(frozen=True, slots=True)
class AnnotationEdit:
    """A change of what is said; None stays as it is. Removals come first, then what is set."""

    model: str
    number: int
    set_tags: Mapping[str, str] = field(default_factory=dict)
    remove_tags: Iterable[str] = ()
    description: str | None = None
    set_metrics: tuple[Metric, ...] = ()
    remove_metrics: Iterable[str] = ()
    lineage: Lineage | None = None
    etag: str = ""


def edited(present: AnnotationRecord, edit: AnnotationEdit, now: float) -> AnnotationRecord:
    """The record after an edit. Metrics that do not say when they were measured are of now."""
    gone = frozenset(edit.remove_metrics)
    metrics = {each.key: each for each in present.metrics if each.name not in gone}
    for metric in edit.set_metrics:
        metrics[metric.key] = replace(metric, measured_at=metric.measured_at or now)
    taken = frozenset(edit.remove_tags)
    tags = {key: value for key, value in present.tags.items() if key not in taken}
    lineage = present.lineage if edit.lineage is None else edit.lineage
    if edit.lineage is not None and present.lineage is not None:
        lineage = with_unknown_of(edit.lineage, present.lineage)
    return replace(
        present,
        tags=dict(sorted({**tags, **edit.set_tags}.items())),
        description=present.description if edit.description is None else edit.description,
        metrics=tuple(metrics[key] for key in sorted(metrics)),
        lineage=None if edit.lineage == Lineage() else lineage,
    )
