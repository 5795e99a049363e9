"""Decides whether a version passes its model's gate, so that a name may lead callers to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from headrace import errors
from headrace.gates import Reference, Verdict, judge, references_for
from headrace.resource_names import annotations_resource, version_resource
from headrace.state.annotation_records import Metric
from headrace.state.catalog import Catalog
from headrace.state.changes import ChangedResource
from headrace.state.record_collections import ANNOTATIONS
from headrace.state.records import ModelRecord

OVERRIDE = "gate.override"
"""The kind of what a change also did where its caller insisted on a version that does not pass."""

Overrides = tuple[ChangedResource, ...]


def check_gate_of(catalog: Catalog, model: ModelRecord, number: int, *, allowed: bool) -> Overrides:
    """Pass if a version passes the gate of its model, or has none to pass.

    Where it is allowed not to, what was insisted on is returned, for the log of changes.
    Raises FailedPrecondition (GATE_NOT_PASSED) that says which rules do not hold, and why.
    """
    metrics = metrics_of(catalog, model.name, number)
    advice = f"Measure it (`headrace evaluate {model.name}/{number}`), choose another version"
    return _checked(catalog, model, number, metrics, allowed=allowed, advice=advice)


def check_gate_of_push(
    catalog: Catalog,
    model: ModelRecord,
    number: int,
    alias: str,
    metrics: Iterable[Metric],
    *,
    allowed: bool,
) -> Overrides:
    """Pass as `check_gate_of` does, by the metrics that a push brings, if callers are going to get it.

    They are by an alias that is guarded, and if it is the model's first version, which becomes stable.
    """
    is_guarded = model.gate is not None and alias and model.gate.guards(alias)
    if not is_guarded and model.route is not None:
        return ()
    advice = "Bring its metrics with the push"
    if model.route is not None:
        measure = f"`headrace evaluate {model.name}/{number}`"
        advice += f", or push it without the alias, and measure it ({measure})"
    return _checked(catalog, model, number, metrics, allowed=allowed, advice=advice)


def _checked(
    catalog: Catalog,
    model: ModelRecord,
    number: int,
    metrics: Iterable[Metric],
    *,
    allowed: bool,
    advice: str,
) -> Overrides:
    if model.gate is None:
        return ()
    verdict = judge(model.gate, metrics, _references(catalog, model, number))
    if verdict.passed:
        return ()
    if not allowed:
        raise _not_passed(model, number, verdict, advice)
    return (ChangedResource(OVERRIDE, version_resource(model.name, number)),)


def metrics_of(catalog: Catalog, model: str, number: int) -> tuple[Metric, ...]:
    """All that was measured of a version."""
    record = catalog.of(ANNOTATIONS).get(annotations_resource(model, number))
    return record.metrics if record else ()


def _references(
    catalog: Catalog, model: ModelRecord, number: int
) -> Mapping[str, Reference | None]:
    assert model.gate is not None
    return references_for(
        model.gate,
        number,
        model.route.stable if model.route else None,
        {name: alias.version for name, alias in model.aliases.items()},
        lambda other: metrics_of(catalog, model.name, other),
    )


def _not_passed(
    model: ModelRecord, number: int, verdict: Verdict, advice: str
) -> errors.FailedPrecondition:
    failed = verdict.failed
    return errors.FailedPrecondition(
        "GATE_NOT_PASSED",
        f"version {number} does not pass the gate of {model.name}: {'; '.join(map(str, failed))}. "
        f"{advice}, or insist with allow_gate_failure",
        facts={"model": model.name, "version": str(number), "rules": str(len(failed))},
    )
