"""What a retraining file says: when, with which command, how the result is judged, how it gets traffic."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from headrace.client.push import config_to_proto
from headrace.errors import InvalidArgument
from headrace.gates import check_gate, is_smaller_better
from headrace.lifecycle.evaluation import Task
from headrace.lifecycle.extras import from_extra
from headrace.resource_names import check_alias_name, check_model_name
from headrace.state.gate_records import GateComparison, GateRecord

STABLE = "stable"

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
ALERT_KINDS = frozenset({"drift", "quality", "data_quality", "errors", "latency", "slower"})


class Trigger(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a run begins: whatever comes first. Without any, only when asked."""

    schedule: str = ""
    """As in crontab, in UTC: `0 3 * * 1`."""
    every: str = ""
    """So long after the last run began: 12h, 1d, 1w."""
    alerts: tuple[str, ...] = ()
    """Kinds or names of rules: while an alert of them fires for the stable version."""
    labels: int = 0
    """So many labels of answers that came since the last run began (of the last 30 days at most)."""
    pause: str = "1h"
    """Between the end of one run and the beginning of the next, whatever triggers it. After runs that were
    not promoted, alerts and labels wait longer: twice as long after each more, 30 days at most."""
    poll: str = "30s"
    """How often the monitor is asked."""

    @property
    def is_empty(self) -> bool:
        """Return whether nothing would ever begin a run."""
        return not (self.schedule or self.every or self.alerts or self.labels)


class Train(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The command that gets data and writes a model."""

    command: tuple[str, ...]
    """A program and its arguments, without a shell; HEADRACE_OUT and others tell it where to write."""
    model: str = "model.onnx"
    """What it writes: a file or folder, relative to HEADRACE_OUT."""
    timeout: str = "6h"
    environment: dict[str, str] = {}


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A metric in which the new version must not be worse than another by more than a margin."""

    metric: str
    than: str = "stable"
    """`stable` or an alias."""
    margin: float = 0.0


class Evaluate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the new version is judged, on data that it was not trained on."""

    data: str
    """A file or folder; relative to HEADRACE_OUT if it is there, else to this file."""
    target: str
    task: str = ""
    output: str = ""
    positive: str = ""
    """Of two classes, the one that is looked for."""
    group_by: str = ""
    slice_by: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    """Columns that are no inputs."""
    require: tuple[str, ...] = ()
    """Each must hold: `accuracy >= 0.95`."""
    no_worse_than: tuple[Comparison, ...] = ()


class Push(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is said of the new version."""

    description: str = ""
    tags: dict[str, str] = {}
    config: dict[str, Any] = {}
    """The serving config, as `headrace push --config` takes it."""


class Canary(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The trial with live traffic before all of it."""

    weight: float = 10.0
    """Percent of the requests."""
    duration: str = msgspec.field(name="for", default="30m")
    min_requests: int = 0
    """So many requests it must have answered, too; else it is not promoted. 0: time alone counts."""
    wait_for_requests: str = "1d"
    """How long after that it may take until it has them, and the monitor tells; then it is taken back."""
    max_error_rate: float | None = None
    """Of its requests, 0 to 1; over that it is taken back."""
    alerts: tuple[str, ...] = tuple(sorted(ALERT_KINDS))
    """Kinds or names of rules: where an alert of them fires for it, it is taken back."""
    poll: str = "10s"


class Promote(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What names the new version in the end."""

    route: bool = True
    """The route's stable version."""
    aliases: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A retraining file."""

    model: str
    trigger: Trigger = Trigger()
    train: Train
    evaluate: Evaluate | None = None
    push: Push = Push()
    canary: Canary | None = None
    promote: Promote = Promote()
    on_end: tuple[str, ...] = ()
    """A command that is told how each run ended, in HEADRACE_OUTCOME and others."""
    patience: str = "15m"
    """How long a step waits for a registry, a replica or a route that is not to be had now."""
    ready_within: str = "10m"
    """How long replicas may take to load the new version."""
    keep_runs: int = 5
    """So many folders of runs are kept, the newest."""


def read_plan(path: Path) -> Plan:
    """Read a file, YAML or JSON. Raises InvalidArgument (RETRAINING_INVALID), which says where and what."""
    yaml = from_extra("yaml", "a retraining file")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        plan = msgspec.convert(found, Plan, strict=True)
    except (OSError, UnicodeDecodeError, msgspec.ValidationError, yaml.YAMLError) as error:
        raise invalid(f"{path}: {' '.join(str(error).split())}") from error
    _check(plan, path)
    return plan


def digest_of(plan: Plan) -> str:
    """The beginning of the SHA-256 of all that a file says."""
    return sha256(msgspec.json.encode(plan)).hexdigest()[:16]


def gate_of(asked: Evaluate, data_digest: str = "") -> GateRecord:
    """The rules of a retraining file as a gate. Raises InvalidArgument (GATE_INVALID)."""
    compared = tuple(
        GateComparison(
            each.metric,
            "" if each.than == STABLE else each.than,
            each.margin,
            is_smaller_better(each.metric),
        )
        for each in asked.no_worse_than
    )
    gate = GateRecord(require=asked.require, no_worse_than=compared, data_digest=data_digest)
    check_gate(gate)
    return gate


def seconds(text: str, what: str) -> float:
    """The seconds of 12h, 30m or 45s. Raises InvalidArgument (RETRAINING_INVALID)."""
    try:
        number = float(text[:-1]) * _UNITS[text[-1:]]
    except (KeyError, ValueError):
        number = -1.0
    if not 0 <= number < 1e9:
        raise invalid(f"{what}: {text!r} is no duration: write 90d, 12h, 30m or 45s")
    return number


def invalid(what: str) -> InvalidArgument:
    """An error of the file."""
    return InvalidArgument("RETRAINING_INVALID", what)


def _check(plan: Plan, path: Path) -> None:
    check_model_name(plan.model)
    for alias in plan.promote.aliases:
        check_alias_name(alias)
    for what, text in _durations(plan):
        seconds(text, f"{path}: {what}")
    if not plan.train.command or not all(plan.train.command):
        raise invalid(f"{path}: train.command names no program")
    if Path(plan.train.model).is_absolute() or ".." in Path(plan.train.model).parts:
        raise invalid(f"{path}: train.model must lie in HEADRACE_OUT: {plan.train.model!r}")
    if plan.trigger.labels < 0 or plan.keep_runs < 1:
        raise invalid(f"{path}: trigger.labels is 0 or more, keep_runs 1 or more")
    if not plan.promote.route and not plan.promote.aliases and plan.canary is None:
        raise invalid(f"{path}: promote: nothing would name the new version: set route or aliases")
    if plan.canary is not None:
        _check_canary(plan.canary, path)
    if plan.evaluate is not None:
        _check_evaluate(plan.evaluate, path)
    config_to_proto(plan.push.config)
    if plan.trigger.schedule:
        _check_schedule(plan.trigger.schedule, path)


def _durations(plan: Plan) -> list[tuple[str, str]]:
    found = [
        ("trigger.pause", plan.trigger.pause),
        ("trigger.poll", plan.trigger.poll),
        ("train.timeout", plan.train.timeout),
        ("ready_within", plan.ready_within),
        ("patience", plan.patience),
    ]
    if plan.trigger.every:
        found.append(("trigger.every", plan.trigger.every))
    if plan.canary is not None:
        canary = plan.canary
        found += [("canary.for", canary.duration), ("canary.poll", canary.poll)]
        found.append(("canary.wait_for_requests", canary.wait_for_requests))
    return found


def _check_canary(canary: Canary, path: Path) -> None:
    if not 0 < canary.weight <= 100:
        raise invalid(f"{path}: canary.weight is over 0 and up to 100 percent, not {canary.weight}")
    if canary.max_error_rate is not None and not 0 <= canary.max_error_rate <= 1:
        raise invalid(f"{path}: canary.max_error_rate is from 0 to 1, not {canary.max_error_rate}")
    if canary.min_requests < 0:
        raise invalid(f"{path}: canary.min_requests is 0 or more")


def _check_evaluate(evaluate: Evaluate, path: Path) -> None:
    """What would be found wrong after hours of training."""
    gate_of(evaluate)
    if evaluate.task not in ("", *Task):
        raise invalid(f"{path}: evaluate.task is one of {', '.join(Task)}, not {evaluate.task!r}")


def _check_schedule(schedule: str, path: Path) -> None:
    from datetime import UTC, datetime

    cronsim = from_extra("cronsim", "trigger.schedule")
    try:
        next(cronsim.CronSim(schedule, datetime.now(UTC)))
    except (cronsim.CronSimError, StopIteration) as error:
        raise invalid(
            f"{path}: trigger.schedule {schedule!r} is none as in crontab, such as '0 3 * * 1': {error}"
        ) from error
