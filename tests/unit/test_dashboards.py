"""The dashboard, the alerts and the documentation speak of the same metrics and reasons."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
METRIC = re.compile(r"headrace_[a-z_]+")
REASON = re.compile(r"`([A-Z_]+)`")
HISTOGRAM_PART = re.compile(r"_(bucket|sum|count)$")


def undocumented(queries: list[str]) -> set[str]:
    """The metrics of these queries that docs/operate/observe.md does not list."""
    documented = set(METRIC.findall((ROOT / "docs" / "operate" / "observe.md").read_text()))
    used = {name for query in queries for name in METRIC.findall(query)}
    assert used
    return {name for name in used if HISTOGRAM_PART.sub("", name) not in documented}


def test_dashboard_uses_documented_metrics() -> None:
    """Every metric of the dashboard's queries is in the lists of docs/operate/observe.md."""
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "headrace.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert set() == undocumented(queries)


def test_alerts_use_documented_metrics_and_reasons() -> None:
    """What the alerts watch is exported, and the reasons that they name are those of docs/errors.md."""
    alerts = (ROOT / "deploy" / "alerts.yml").read_text()
    assert set() == undocumented([alerts])
    reasons = {
        reason for line in re.findall(r'reason=~"([^"]+)"', alerts) for reason in line.split("|")
    }
    listed = set(REASON.findall((ROOT / "docs" / "errors.md").read_text()))
    assert reasons
    assert reasons <= listed
