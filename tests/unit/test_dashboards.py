"""The dashboard and the documentation speak of the same metrics."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
METRIC = re.compile(r"headrace_[a-z_]+")
HISTOGRAM_PART = re.compile(r"_(bucket|sum|count)$")


def test_dashboard_uses_documented_metrics() -> None:
    """Every metric of the dashboard's queries is in the lists of docs/operations.md."""
    documented = set(METRIC.findall((ROOT / "docs" / "operations.md").read_text()))
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "headrace.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    used = {name for query in queries for name in METRIC.findall(query)}
    assert {name for name in used if HISTOGRAM_PART.sub("", name) not in documented} == set()
