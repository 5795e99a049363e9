"""Rules about requests: objectives, errors, latency. Pure, from counts of windows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from headrace.alert_rules.durations import duration_text, seconds_of
from headrace.alert_rules.reasons import CALLERS
from headrace.alert_rules.rules import AnyRule, BurnWindow, Errors, Latency, Objective, fits
from headrace_monitor.domain.alerts.alerts import (
    Burn,
    Level,
    ObjectiveStatus,
    Observation,
    Subject,
)
from headrace_monitor.domain.alerts.figures import ServiceCounts, ServiceWindow, SliceCounts
from headrace_monitor.domain.alerts.states import Look

NEAR = 0.9
"""An alert that fires goes on until its value is below this part of its threshold: so it does not flap."""

STANDS_OUT = 2.0
"""A slice fails by itself where its share of errors is so many times that of all of its version."""

Windows = Mapping[float, ServiceWindow]
"""By length in seconds."""


def windows_of(rules: Iterable[AnyRule]) -> set[float]:
    """Return the windows that every look needs: of objectives the short ones."""
    found: set[float] = set()
    for rule in rules:
        match rule:
            case Objective():
                found |= {seconds_of(window.short) for window in rule.burn}
            case Errors() | Latency():
                found.add(seconds_of(rule.window))
    return found


def burning(rules: Iterable[AnyRule], windows: Windows) -> dict[float, set[str]]:
    """Return the long windows that are needed, and for which models: those whose short ones burn.

    Nobody adds up six hours of a thousand models every ten seconds to see that all is well.
    """
    needed: dict[float, set[str]] = {}
    for rule in rules:
        if isinstance(rule, Objective):
            for window in rule.burn:
                models = {
                    subject.model
                    for subject, counted in _by_subject(rule, windows[seconds_of(window.short)])
                    if _burns(rule, counted, window.rate * NEAR)
                }
                if models:
                    needed.setdefault(seconds_of(window.long), set()).update(models)
    return needed


def look_at_requests(rule: Objective | Errors | Latency, windows: Windows) -> Look:
    """Return what a rule sees; the windows that it needs are there."""
    match rule:
        case Objective():
            seen = tuple(_burn_observations(rule, windows))
            short = [windows[seconds_of(window.short)] for window in rule.burn]
            return Look(rule, seen, is_known=all(window.is_whole for window in short))
        case Errors(by="slice"):
            return _look_at_slices(rule, windows[seconds_of(rule.window)])
        case Errors():
            return _look(rule, windows[seconds_of(rule.window)], rule.min_requests, _errors)
        case Latency():
            return _look(rule, windows[seconds_of(rule.window)], rule.min_requests, _latency)


@dataclass(slots=True)
class Counted:
    """Requests of a subject, and those of them that were bad."""

    requests: int = 0
    bad: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """The share of bad ones."""
        return self.bad / self.requests if self.requests else 0.0


def count(rule: Objective, window: ServiceWindow) -> list[tuple[Subject, Counted]]:
    """Return what an objective counts in a window, by model or version."""
    return list(_by_subject(rule, window))


def burn_rate(rule: Objective, counted: Counted) -> float:
    """How many times as fast as allowed the budget is used."""
    return counted.share / (1.0 - rule.target)


def status_of(rule: Objective, subject: Subject, counted: Counted) -> ObjectiveStatus:
    """Return how the objective stands over what was counted."""
    return ObjectiveStatus(
        rule.name,
        subject.model,
        subject.version,
        rule.target,
        rule.latency_seconds,
        rule.period_seconds,
        counted.requests,
        counted.bad,
    )


def own_errors(errors: Mapping[str, int]) -> dict[str, int]:
    """Return those errors that are not the callers' mistakes."""
    return {reason: number for reason, number in errors.items() if reason not in CALLERS and number}


def _by_subject(rule: Objective, window: ServiceWindow) -> Iterator[tuple[Subject, Counted]]:
    found: dict[Subject, Counted] = {}
    for (model, version), counts in window.versions.items():
        if model and rule.is_about(model, version):
            subject = Subject(model, version if rule.by == "version" else 0)
            _add(rule, found.setdefault(subject, Counted()), counts)
    yield from found.items()


def _add(rule: Objective, counted: Counted, counts: ServiceCounts) -> None:
    own = own_errors(counts.errors)
    callers = sum(counts.errors.values()) - sum(own.values())
    answered = counts.requests - sum(counts.errors.values())
    counted.requests += counts.requests - callers  # what callers do wrong is nobody's budget
    counted.bad += sum(own.values())
    for reason, number in own.items():
        counted.reasons[reason] = counted.reasons.get(reason, 0) + number
    if rule.latency and answered > 0:
        late = round((1.0 - counts.share_within(rule.latency_seconds)) * answered)
        counted.bad += late
        if late:
            counted.reasons["too late"] = counted.reasons.get("too late", 0) + late


def _burns(rule: Objective, counted: Counted, rate: float) -> bool:
    return counted.requests >= rule.min_requests and burn_rate(rule, counted) >= rate


def _burn_observations(rule: Objective, windows: Windows) -> Iterator[Observation]:
    for window in rule.burn:
        short, long = windows[seconds_of(window.short)], windows.get(seconds_of(window.long))
        counted_long = dict(_by_subject(rule, long)) if long is not None else {}
        for subject, counted in _by_subject(rule, short):
            in_long = counted_long.get(subject)
            found = _burn_observation(rule, window, subject, counted, in_long)
            if found is not None:
                incomplete = long.incomplete if long is not None else short.incomplete
                yield _with(found, incomplete)


def _burn_observation(
    rule: Objective,
    window: BurnWindow,
    subject: Subject,
    short: Counted,
    long: Counted | None,
) -> Observation | None:
    if long is None or not _burns(rule, short, window.rate * NEAR):
        return None
    rates = burn_rate(rule, short), burn_rate(rule, long)
    if min(rates) < window.rate * NEAR:
        return None
    status = status_of(rule, subject, long)
    burns = tuple(
        Burn(seconds_of(text), rate, window.rate)
        for text, rate in zip((window.short, window.long), rates, strict=True)
    )
    kind = f"answered within {rule.latency}" if rule.latency else "answered"
    return Observation(
        subject._replace(part=window.long),
        Level.OVER if min(rates) >= window.rate else Level.NEAR,
        value=rates[1],
        threshold=window.rate,
        unit="burn",
        finding=f"{long.share:.2%} of {long.requests} requests of {window.long} were not {kind}, where "
        f"{1 - rule.target:.3%} may be: the budget burns {rates[1]:.1f} times as fast as it may, and "
        f"{rates[0]:.1f} times over the last {window.short}",
        reasons=_most(short.reasons),
        objective=_with_burns(status, burns),
        severity=window.severity,
    )


def _with_burns(status: ObjectiveStatus, burns: tuple[Burn, ...]) -> ObjectiveStatus:
    return replace(status, burns=burns)


_Check = Callable[[AnyRule, Subject, ServiceCounts], Observation | None]


def _look(rule: Errors | Latency, window: ServiceWindow, least: int, check: _Check) -> Look:
    seen: list[Observation] = []
    for (model, version), counts in window.versions.items():
        if counts.requests >= least and rule.is_about(model, version):
            subject = Subject(model, version)
            found = check(rule, subject, counts)
            if found is not None:
                seen.append(_with(found, window.incomplete))
            elif not window.is_whole:
                seen.append(Observation(subject, Level.CLEAR))  # of enough requests, gaps or not
    return Look(rule, tuple(seen), is_known=window.is_whole)


def _look_at_slices(rule: Errors, window: ServiceWindow) -> Look:
    seen: list[Observation] = []
    for (model, version), counts in window.versions.items():
        if not counts.requests or not rule.is_about(model, version):
            continue
        usual = STANDS_OUT * sum(_wanted(rule, counts.errors).values()) / counts.requests
        for name, part in counts.slices().items():
            if part.requests >= rule.min_requests and fits(rule.slices, name):
                seen += _look_at_slice(
                    rule, window, Subject(model, version, part=name), part, usual
                )
    return Look(rule, tuple(seen), is_known=window.is_whole)


def _look_at_slice(
    rule: Errors, window: ServiceWindow, subject: Subject, part: SliceCounts, usual: float
) -> Iterator[Observation]:
    found = _errors(rule, subject, part)
    if found is not None and found.value >= usual:
        finding = f"{found.finding}, in {subject.part}"
        named = replace(found, finding=finding, slices=(subject.part,))
        yield _with(named, window.incomplete)
    elif not window.is_whole:
        yield Observation(subject, Level.CLEAR)


def _errors(
    rule: AnyRule, subject: Subject, counts: ServiceCounts | SliceCounts
) -> Observation | None:
    assert isinstance(rule, Errors)
    reasons = _wanted(rule, counts.errors)
    share = sum(reasons.values()) / counts.requests
    if not reasons or share <= rule.above * NEAR:
        return None
    worst = max(reasons, key=lambda reason: reasons[reason])
    return Observation(
        subject,
        Level.OVER if share > rule.above else Level.NEAR,
        value=share,
        threshold=rule.above,
        unit="share",
        finding=f"{share:.2%} of {counts.requests} requests of {rule.window} ended with an error, most "
        f"with {worst} ({reasons[worst]})",
        reasons=_most(reasons),
    )


def _wanted(rule: Errors, errors: Mapping[str, int]) -> dict[str, int]:
    wanted = (
        {
            reason: number
            for reason, number in errors.items()
            if number and fits(rule.reasons, reason)
        }
        if rule.reasons
        else own_errors(errors)
    )
    if not rule.except_reasons:
        return wanted
    return {key: number for key, number in wanted.items() if not fits(rule.except_reasons, key)}


def _latency(rule: AnyRule, subject: Subject, counts: ServiceCounts) -> Observation | None:
    assert isinstance(rule, Latency)
    seconds = counts.quantile(rule.quantile)
    if seconds <= rule.above_seconds * NEAR:
        return None
    return Observation(
        subject,
        Level.OVER if seconds > rule.above_seconds else Level.NEAR,
        value=seconds,
        threshold=rule.above_seconds,
        unit="seconds",
        finding=f"{rule.quantile:.4g} of the requests of {rule.window} took up to "
        f"{duration_text(round(seconds, 4))}, where {rule.above} are allowed",
    )


def _with(found: Observation, incomplete: tuple[str, ...]) -> Observation:
    return replace(found, incomplete=incomplete) if incomplete else found


def _most(reasons: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(reasons.items(), key=lambda item: -item[1])[:10])
