"""Names the cause: ranks findings, and says which slices moved while others did not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from headrace_monitor.domain.drift.findings import Finding, SliceCause
from headrace_monitor.domain.drift.subject import Subject

Version = tuple[str, int]


def ranked(subjects: Iterable[Subject]) -> tuple[Finding, ...]:
    """All open findings by version and slice, the field that moved furthest first."""
    return worst_first(
        finding for each in subjects if each.panel for finding in each.panel.open.values()
    )


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By version and slice, the field that moved furthest first."""
    return tuple(sorted(findings, key=_rank))


def _rank(finding: Finding) -> tuple[object, ...]:
    """The Jensen-Shannon distance is of one scale for all kinds of fields, and then evidence counts."""
    key = finding.key
    return (key.model, key.version, key.slice, -finding.effects.jensen_shannon, -finding.evidence)


def causes_of(subjects: Iterable[Subject]) -> Mapping[Version, Collection[SliceCause]]:
    """By version, for each field that is off in any slice, where it is off and where it is not."""
    by_version: defaultdict[Version, list[Subject]] = defaultdict(list)
    for subject in subjects:
        if subject.panel is not None:
            by_version[subject.key.model, subject.key.version].append(subject)
    return {version: causes for version, of in by_version.items() if (causes := _causes(of))}


def _causes(subjects: Collection[Subject]) -> list[SliceCause]:
    off = {each.key.slice: _fields(each) for each in subjects}
    fields = sorted({field for found in off.values() for field in found})
    return [
        SliceCause(
            field,
            sorted(part for part, found in off.items() if field in found),
            sorted(part for part, found in off.items() if field not in found),
        )
        for field in fields
    ]


def _fields(subject: Subject) -> set[str]:
    assert subject.panel is not None
    return {aspect.field for aspect, _ in subject.panel.open}
