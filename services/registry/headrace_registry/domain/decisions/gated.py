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
    return check_metrics(
        catalog, model, number, metrics_of(catalog, model.name, number), allowed=allowed
    )


def check_metrics(
    catalog: Catalog, model: ModelRecord, number: int, metrics: Iterable[Metric], *, allowed: bool
) -> Overrides:
    """Pass as `check_gate_of` does a version that is not there yet, by the metrics that it brings."""
    if model.gate is None:
        return ()
    verdict = judge(model.gate, metrics, _references(catalog, model, number))
    if verdict.passed:
        return ()
    if not allowed:
        raise _not_passed(model, number, verdict)
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


def _not_passed(model: ModelRecord, number: int, verdict: Verdict) -> errors.FailedPrecondition:
    failed = verdict.failed
    return errors.FailedPrecondition(
        "GATE_NOT_PASSED",
        f"version {number} does not pass the gate of {model.name}: {'; '.join(map(str, failed))}. "
        f"Measure it (`headrace evaluate {model.name}/{number}`), choose another version, or insist with "
        "allow_gate_failure",
        facts={"model": model.name, "version": str(number), "rules": str(len(failed))},
    )
