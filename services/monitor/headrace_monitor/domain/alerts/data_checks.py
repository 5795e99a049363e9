"""Rules about data and answers: drift, faults of fields, quality. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from headrace.alert_rules.rules import (
    ERRORS_OF_MEASURES,
    AnyRule,
    DataQuality,
    Drift,
    Quality,
    fits,
)
from headrace_monitor.domain.alerts.alerts import AlertField, Level, Observation, Subject
from headrace_monitor.domain.alerts.figures import WatchedFigure
from headrace_monitor.domain.alerts.states import Look
from headrace_monitor.domain.drift.findings import Concern, Effects, Finding

MAX_FIELDS = 20
"""Fields that an alert names; how many there are, it says."""


MAX_REQUESTS = 20


def look_at_drift(rule: Drift, findings: Sequence[Finding] | None) -> Look:
    """Return what a rule of drift sees: one subject for each version, with its fields and slices."""

    def is_wanted(finding: Finding) -> bool:
        return finding.concern is Concern.DISTRIBUTION and finding.effects.psi >= rule.min_psi

    return _look_at_fields(rule, findings, is_wanted, rule.min_fields)


def look_at_faults(rule: DataQuality, findings: Sequence[Finding] | None) -> Look:
    """Return what a rule about faults of fields sees."""

    def is_wanted(finding: Finding) -> bool:
        return (
            finding.concern.value in rule.faults
            and finding.rows >= rule.min_rows
            and finding.effects.ks > rule.above
        )

    return _look_at_fields(rule, findings, is_wanted, 1)


def look_at_quality(rule: Quality, figures: Sequence[WatchedFigure] | None) -> Look:
    """Return what a rule of quality sees: that answers are surely worse, by the whole interval."""
    if figures is None:
        return Look(rule, is_known=False)
    return Look(rule, tuple(_quality_observations(rule, figures)))


def _look_at_fields(
    rule: Drift | DataQuality,
    findings: Sequence[Finding] | None,
    is_wanted: Callable[[Finding], bool],
    least: int,
) -> Look:
    if findings is None:
        return Look(rule, is_known=False)
    by_version: dict[Subject, list[Finding]] = {}
    for each in findings:
        key = each.key
        if (
            rule.is_about(key.model, key.version)
            and fits(rule.fields, each.field)
            and (not rule.slices or fits(rule.slices, key.slice))
            and is_wanted(each)
        ):
            by_version.setdefault(Subject(key.model, key.version), []).append(each)
    return Look(
        rule,
        tuple(
            _observation(rule, subject, found)
            for subject, found in by_version.items()
            if len({each.field for each in found}) >= least
        ),
    )


def _observation(rule: AnyRule, subject: Subject, found: Sequence[Finding]) -> Observation:
    worst = sorted(found, key=lambda each: -_size(each))
    first = worst[0]
    names = list(dict.fromkeys(each.field for each in worst))
    slices = tuple(sorted({each.key.slice for each in found if each.key.slice}))
    count = len(names) - 1
    others = f" and {count} more field{'s' if count > 1 else ''}" if count else ""
    only = "" if any(not each.key.slice for each in found) else f", in {', '.join(slices[:3])}"
    is_drift = isinstance(rule, Drift)
    return Observation(
        subject,
        Level.OVER,
        value=first.effects.psi if is_drift else first.effects.ks,
        threshold=rule.min_psi if isinstance(rule, Drift) else getattr(rule, "above", 0.0),
        unit="psi" if is_drift else "share",
        finding=f"{first.field}{others}: {first.change}{only}",
        slices=slices,
        fields=tuple(_fields(worst)),
        request_ids=tuple(_request_ids(worst)),
    )


def _request_ids(worst: Sequence[Finding]) -> list[str]:
    """Those that show the worst field come first."""
    ids = dict.fromkeys(one for each in worst for one in each.request_ids)
    return list(ids)[:MAX_REQUESTS]


def _fields(worst: Sequence[Finding]) -> Iterator[AlertField]:
    named: set[str] = set()
    for each in worst:
        if each.field not in named and len(named) < MAX_FIELDS:
            named.add(each.field)
            finding = "; ".join(filter(None, (each.change, _effects(each.effects))))
            yield AlertField(each.field, finding, "psi", each.effects.psi)


def _effects(effects: Effects) -> str:
    moved = "" if effects.wasserstein is None else f", moved {effects.wasserstein:.2f} sd"
    return f"PSI {effects.psi:.2f}, JS {effects.jensen_shannon:.2f}, KS {effects.ks:.2f}{moved}"


def _size(finding: Finding) -> float:
    return max(finding.effects.psi, finding.effects.ks)


def _quality_observations(rule: Quality, figures: Sequence[WatchedFigure]) -> Iterator[Observation]:
    for each in figures:
        if (
            each.measure == rule.measure
            and each.labels >= rule.min_labels
            and rule.is_about(each.model, each.version)
            and (fits(rule.slices, each.slice) if rule.slices else not each.slice)
        ):
            yield from _quality_observation(rule, each)


def _quality_observation(rule: Quality, figure: WatchedFigure) -> Iterator[Observation]:
    bound = _bound(rule, figure)
    if bound is None:
        return
    is_error = rule.measure in ERRORS_OF_MEASURES
    surely = figure.low > bound if is_error else figure.high < bound
    likely = figure.value > bound if is_error else figure.value < bound
    if not likely:
        return
    estimated = ", an estimate without labels" if rule.measure.startswith("estimated") else ""
    yield Observation(
        Subject(figure.model, figure.version, part=figure.slice),
        Level.OVER if surely else Level.NEAR,
        value=figure.value,
        threshold=bound,
        unit=rule.measure,
        finding=f"{rule.measure} is {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}, of "
        f"{figure.labels} rows{estimated}), {'above' if is_error else 'below'} {bound:.3f}",
        slices=(figure.slice,) if figure.slice else (),
        request_ids=figure.request_ids,
    )


def _bound(rule: Quality, figure: WatchedFigure) -> float | None:
    """Return the strictest of what must not be passed; None where there is nothing to compare with."""
    is_error = rule.measure in ERRORS_OF_MEASURES
    bounds = [] if rule.below is None else [rule.below]
    if rule.drop is not None and figure.reference is not None:
        worse = figure.reference * rule.drop if is_error else -rule.drop
        bounds.append(figure.reference + worse)
    if not bounds:
        return None
    return min(bounds) if is_error else max(bounds)
