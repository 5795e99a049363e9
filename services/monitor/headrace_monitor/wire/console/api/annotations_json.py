"""What is said of versions, gates and comparisons as the console's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from headrace.client.annotation_resources import FoundVersion, VersionAnnotations
from headrace.filters import Field, comparisons, parse, parse_field
from headrace.gates import Measurements, Verdict, written_comparison
from headrace.lifecycle.versions.comparison import (
    Described,
    Difference,
    MetricDifference,
    VersionComparison,
)
from headrace.state.annotation_records import Attachment, Metric
from headrace.state.gate_records import GateRecord
from headrace_monitor.wire.console.api.catalog_json import signature_json


def annotations_json(said: VersionAnnotations) -> dict[str, object]:
    """All that is said of a version."""
    return {
        "number": said.version,
        "tags": dict(said.tags),
        "description": said.description,
        "metrics": [metric_json(each) for each in said.metrics],
        "lineage": asdict(said.lineage) if said.lineage else None,
        "attachments": [_attachment_json(each) for each in said.attachments],
        "updated_at": said.updated_at or None,
    }


def metric_json(metric: Metric) -> dict[str, object]:
    """A measured value, with what it is of."""
    return asdict(metric) | {
        "confidence": metric.confidence or None,
        "rows": metric.rows or None,
        "measured_at": metric.measured_at or None,
    }


def _attachment_json(attachment: Attachment) -> dict[str, object]:
    return asdict(attachment) | {"created_at": attachment.created_at or None}


def gate_json(gate: GateRecord) -> dict[str, object]:
    """What a model's gate demands, as it is written for commands."""
    return {
        "require": list(gate.require),
        "no_worse_than": [written_comparison(each) for each in gate.no_worse_than],
        "data_digest": gate.data_digest,
        "aliases": list(gate.aliases),
    }


def verdict_json(verdict: Verdict) -> dict[str, object]:
    """What a gate says of a version, rule by rule."""
    return {"passed": verdict.passed, "results": [asdict(each) for each in verdict.results]}


def named_metrics(text: str, order_by: str) -> list[Field]:
    """The metrics that a filter and an order name, each once."""
    fields = [each.field for each in comparisons(parse(text))]
    fields += [parse_field(each, "order_by") for each in order_by.split()[:1]]
    named = {str(each): each for each in fields if each.name.startswith("metrics.")}
    return list(named.values())


def found_json(found: FoundVersion, metrics: Sequence[Field]) -> dict[str, object]:
    """A version that was found; `metrics` are those that were asked for, None where it has one not."""
    version, said = found.version, found.annotations
    measured = Measurements(said.metrics)
    values = [measured.newest(each) for each in metrics]
    return {
        "model": version.model,
        "number": version.number,
        "kind": version.kind,
        "created_at": version.created_at,
        "size_bytes": version.size_bytes,
        "description": said.description or version.description,
        "aliases": list(found.aliases),
        "tags": dict(said.tags),
        "metrics": [
            None if each is None else metric_json(each.metric) | {"value": each.value}
            for each in values
        ],
    }


def comparison_json(
    found: VersionComparison, first: Described, second: Described
) -> dict[str, object]:
    """Two versions side by side: whole signatures, all metrics, and else in what they differ."""
    return {
        "model": found.model,
        "first": found.first,
        "second": found.second,
        "size_bytes": list(found.size_bytes),
        "same_artifact": found.same_artifact,
        "signatures": [signature_json(each.version.signature) for each in (first, second)],
        "metrics": [_metric_difference_json(each) for each in found.metrics],
        **{
            part: [asdict(each) for each in differences]
            for part, differences in _parts(found).items()
        },
    }


def _parts(found: VersionComparison) -> dict[str, tuple[Difference, ...]]:
    return {
        "signature": found.signature,
        "config": found.config,
        "files": found.files,
        "lineage": found.lineage,
        "tags": found.tags,
        "reference": found.reference,
        "description": found.description,
    }


def _metric_difference_json(each: MetricDifference) -> dict[str, object]:
    return {
        "name": each.name,
        "slice": each.slice,
        "data_digest": each.data_digest,
        "data_name": each.data_name,
        "first": metric_json(each.first) if each.first else None,
        "second": metric_json(each.second) if each.second else None,
        "change": each.change,
        "intervals_overlap": each.intervals_overlap,
    }
