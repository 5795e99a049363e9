"""A file of rules as rules of Prometheus, for all that the monitor's metrics tell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import translate

from headrace.alert_rules.durations import seconds_of
from headrace.alert_rules.reasons import CALLERS
from headrace.alert_rules.rules import (
    AnyRule,
    BurnWindow,
    Errors,
    Latency,
    MissingTelemetry,
    Objective,
    ReplicaLost,
)
from headrace.alert_rules.rules_file import RuleSet

REQUESTS, ERRORS, DURATIONS = (
    "headrace_requests_total",
    "headrace_request_errors_total",
    "headrace_request_duration_seconds",
)
SILENT, LOST, INCOMPLETE = (
    "headrace_monitor_replica_silent",
    "headrace_monitor_replica_lost_lives",
    "headrace_monitor_replica_incomplete_lives",
)
_LEAST_EDGE, _LARGEST_EDGE = 10, 40
"""Exponents of the edges of durations in Prometheus: powers of two nanoseconds."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The file, and why what is not in it is not."""

    text: str
    left_out: tuple[str, ...]


def prometheus_rules(rules: RuleSet) -> Exported:
    """Write all active rules that Prometheus can evaluate, with the labels that Headrace's alerts have."""
    lines = ["groups:", "  - name: headrace", "    rules:"]
    left_out = []
    for rule in rules.active:
        found = list(_alerts(rule))
        for each in found:
            lines += each
        if not found:
            left_out.append(
                f"{rule.name}: a rule of {rule.kind} is evaluated by the monitor alone; headrace_alerts "
                "counts what fires"
            )
    if len(lines) == 3:
        lines[-1] += " []"
    return Exported("\n".join(lines) + "\n", tuple(left_out))


def _alerts(rule: AnyRule) -> Iterator[list[str]]:
    match rule:
        case Objective():
            for window in rule.burn:
                yield _alert(rule, _burn(rule, window), window.severity, part=window.long)
        case Errors(by="slice"):
            return  # the metrics do not tell slices apart
        case Errors():
            yield _alert(rule, _share_of_errors(rule))
        case Latency():
            yield _alert(rule, _quantile(rule))
        case MissingTelemetry():
            lost = f"increase({INCOMPLETE}[{_range(rule.window)}]) > 0"
            yield _alert(rule, f"{SILENT} > 0 or {lost}")
        case ReplicaLost():
            yield _alert(rule, f"increase({LOST}[{_range(rule.window)}]) > 0")
        case _:
            return


def _alert(rule: AnyRule, expression: str, severity: str = "", part: str = "") -> list[str]:
    labels = {"severity": severity or rule.severity, "source": "headrace"}
    if part:
        labels["part"] = part
    lines = [
        f"      - alert: {json.dumps(rule.name)}",
        f"        expr: {json.dumps(expression)}",
        f"        for: {_range(rule.hold)}",
        f"        keep_firing_for: {_range(rule.resolve_after)}",
        "        labels:",
        *(f"          {key}: {json.dumps(value)}" for key, value in labels.items()),
    ]
    annotations = {
        "summary": rule.summary or f"{rule.kind}: {rule.name}",
        "description": rule.look_at,
    }
    told = {key: value for key, value in annotations.items() if value}
    # of Prometheus's templates only the words are meant
    lines += ["        annotations:"] + [
        f"          {key}: {json.dumps(value.replace('{{', '{ {'))}" for key, value in told.items()
    ]
    return lines


def _burn(rule: Objective, window: BurnWindow) -> str:
    by = "model, version" if rule.by == "version" else "model"
    allowed = _number(window.rate * (1 - rule.target))
    short = _range(window.short)
    enough = _number(rule.min_requests)
    bad_shares = (
        f"({_bad(rule, by, _range(each))}) / ({_counted(rule, by, _range(each))}) >= {allowed}"
        for each in (window.short, window.long)
    )
    requests = f"sum by ({by}) (increase({REQUESTS}{_selector(rule)}[{short}])) >= {enough}"
    return " and ".join((*bad_shares, requests))


def _bad(rule: Objective, by: str, window: str) -> str:
    own = f"sum by ({by}) (rate({ERRORS}{_selector(rule, _not_callers())}[{window}]))"
    requests = f"sum by ({by}) (rate({REQUESTS}{_selector(rule)}[{window}])) * 0"
    errors = f"({own} or {requests})"
    if not rule.latency:
        return errors
    edge = _edge(rule.latency_seconds)
    answered = f"sum by ({by}) (rate({DURATIONS}_count{_selector(rule)}[{window}]))"
    buckets = f"{DURATIONS}_bucket{_selector(rule, f'le={json.dumps(edge)}')}"
    within = f"sum by ({by}) (rate({buckets}[{window}]))"
    return f"{errors} + {answered} - {within}"


def _counted(rule: Objective, by: str, window: str) -> str:
    requests = f"sum by ({by}) (rate({REQUESTS}{_selector(rule)}[{window}]))"
    callers = f"sum by ({by}) (rate({ERRORS}{_selector(rule, _callers())}[{window}]))"
    return f"{requests} - ({callers} or {requests} * 0)"


def _share_of_errors(rule: Errors) -> str:
    by, window = "model, version", _range(rule.window)
    matchers = [_matching("reason", rule.reasons)] if rule.reasons else [_not_callers()]
    if rule.except_reasons:
        matchers.append(_matching("reason", rule.except_reasons, "!~"))
    errors = f"sum by ({by}) (rate({ERRORS}{_selector(rule, *matchers)}[{window}]))"
    requests = f"sum by ({by}) (rate({REQUESTS}{_selector(rule)}[{window}]))"
    enough = (
        f"sum by ({by}) (increase({REQUESTS}{_selector(rule)}[{window}])) >= {rule.min_requests}"
    )
    return f"{errors} / {requests} > {_number(rule.above)} and {enough}"


def _quantile(rule: Latency) -> str:
    by, window = "model, version", _range(rule.window)
    buckets = f"sum by (le, {by}) (rate({DURATIONS}_bucket{_selector(rule)}[{window}]))"
    counts = f"{DURATIONS}_count{_selector(rule)}"
    enough = f"sum by ({by}) (increase({counts}[{window}])) >= {rule.min_requests}"
    above = _number(rule.above_seconds)
    return f"histogram_quantile({_number(rule.quantile)}, {buckets}) > {above} and {enough}"


def _selector(rule: AnyRule, *more: str) -> str:
    matchers = [_matching("model", rule.models)] if rule.models else []
    if rule.versions:
        numbers = "|".join(map(str, rule.versions))
        matchers.append(f'version=~"{numbers}"')
    matchers += more
    return "{" + ", ".join(matchers) + "}" if matchers else ""


def _matching(label: str, patterns: tuple[str, ...], operator: str = "=~") -> str:
    expression = "|".join(map(_expression, patterns))
    return f"{label}{operator}{json.dumps(expression)}"


def _expression(pattern: str) -> str:
    """Return a pattern of names as RE2 has it: Prometheus anchors it by itself."""
    if not any(each in pattern for each in "*?["):
        return re.escape(pattern).replace("\\-", "-")
    found = translate(pattern)
    return found.removeprefix("(?s:").removesuffix(r")\Z").replace("(?>", "(?:")


def _callers() -> str:
    return f'reason=~"{"|".join(sorted(CALLERS))}"'


def _not_callers() -> str:
    return f'reason!~"{"|".join(sorted(CALLERS))}"'


def _edge(seconds: float) -> str:
    """Return the largest edge of a bucket that is at most this long: what is late counts as late."""
    edges = [2**exponent / 1e9 for exponent in range(_LEAST_EDGE, _LARGEST_EDGE + 1)]
    fitting = [edge for edge in edges if edge <= seconds * (1 + 1e-9)] or edges[:1]
    return format(fitting[-1], ".9g")


def _range(text: str) -> str:
    """Return a length of time as Prometheus has it: whole, in its units."""
    milliseconds = round(seconds_of(text) * 1000)
    whole = milliseconds % 1000 == 0
    return f"{milliseconds // 1000}s" if whole else f"{milliseconds}ms"


def _number(value: float) -> str:
    return format(value, ".10g")
