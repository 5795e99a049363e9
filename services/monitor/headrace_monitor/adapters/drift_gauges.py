"""Drift for Prometheus: a few gauges of each version, and none of each field."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from headrace_monitor.domain.drift.findings import Concern, DriftFindings, Finding

_LABELS = ("model", "version", "slice")


class DriftGauges(Collector):
    """Reads the open findings at each scrape."""

    def __init__(self, findings: DriftFindings) -> None:
        self._findings = findings

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges; a version or slice without open findings has none."""
        of = defaultdict(list)
        for finding in self._findings.open_findings():
            of[finding.key].append(finding)
        fields = GaugeMetricFamily(
            "headrace_drift_fields",
            "Fields that are not as their reference, by what is off; none where all is well.",
            labels=(*_LABELS, "concern"),
        )
        psi = GaugeMetricFamily(
            "headrace_drift_psi_max",
            "The largest population stability index of fields that are not as their reference.",
            labels=_LABELS,
        )
        for key, found in of.items():
            labels = (key.model, str(key.version), key.slice)
            for concern, count in sorted(_fields_by_concern(found).items()):
                fields.add_metric((*labels, concern), count)
            psi.add_metric(labels, max(each.effects.psi for each in found))
        yield fields
        yield psi


def _fields_by_concern(findings: list[Finding]) -> Counter[Concern]:
    return Counter(concern for _, concern in {(each.field, each.concern) for each in findings})
