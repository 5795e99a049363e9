"""Rules of alerts as Prometheus has them: its own tool checks and runs them."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest

from headrace.alert_rules.prometheus import prometheus_rules
from headrace.alert_rules.rules_file import DEFAULT_RULES, read_rules
from tests.e2e.prometheus import PROMTOOL
from tests.rpc.alerting import alerting

pytestmark = [
    pytest.mark.toolchain,
    pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed"),
]

RULES = """
[[rules]]
name = "answers"
kind = "objective"
models = ["fraud-*", "a.b"]
target = 0.99

[[rules]]
name = "fast"
kind = "objective"
target = 0.9
latency = "300ms"
by = "version"

[[rules]]
name = "slow"
kind = "latency"
above = "1s"
for = "0s"
"""

SERIES = {
    'headrace_requests_total{model="fraud-1", version="1"}': "0+600x400",
    'headrace_request_errors_total{model="fraud-1", version="1", reason="RUN_FAILED"}': "0+120x400",
    'headrace_request_errors_total{model="fraud-1", version="1", reason="INPUT_MISSING"}': "0+60x400",
    'headrace_requests_total{model="well", version="1"}': "0+600x400",
    'headrace_request_errors_total{model="well", version="1", reason="INPUT_MISSING"}': "0+300x400",
    'headrace_requests_total{model="late", version="2"}': "0+600x400",
    'headrace_request_duration_seconds_count{model="late", version="2"}': "0+600x400",
    'headrace_request_duration_seconds_bucket{model="late", version="2", le="0.268435456"}': "0+60x400",
    'headrace_request_duration_seconds_bucket{model="late", version="2", le="2.147483648"}': "0+600x400",
    'headrace_request_duration_seconds_bucket{model="late", version="2", le="+Inf"}': "0+600x400",
    'headrace_monitor_replica_silent{replica="r"}': "0x300 1x100",
    'headrace_monitor_replica_lost_lives{replica="r"}': "0x390 1x10",
}

FIRING = {
    "answers": [{"model": "fraud-1", "severity": "page", "part": "1h"}],
    "fast": [],
    "slow": [{"model": "late", "version": "2", "severity": "ticket"}],
    "version-failing": [{"model": "fraud-1", "version": "1", "severity": "page"}],
    "version-overloaded": [],
    "telemetry-missing": [{"replica": "r", "severity": "ticket"}],
    "replica-lost": [{"replica": "r", "severity": "ticket"}],
}
"""At the end, of the burns of an hour alone."""


def _tested(name: str) -> dict[str, object]:
    alerts = [{"exp_labels": {**labels, "source": "headrace"}} for labels in FIRING[name]]
    return {"eval_time": "399m", "alertname": name, "exp_alerts": alerts}


def test_prometheus_evaluates_them_as_the_monitor_does(tmp_path: Path) -> None:
    """What callers do wrong fires nothing; what is too late or fails does."""
    exported = prometheus_rules(read_rules(RULES))
    # annotations are of no matter here, and would have to be repeated
    text = re.sub(r"        annotations:\n(?:          .*\n)+", "", exported.text)
    slow_burn = re.compile(r"      - alert: \"\w+\"\n(?:        .*\n)*?          part: \"6h\"\n")
    (tmp_path / "rules.yml").write_text(slow_burn.sub("", text))
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": series, "values": values} for series, values in SERIES.items()
                ],
                "alert_rule_test": [_tested(name) for name in FIRING],
            }
        ],
    }
    (tmp_path / "test.yml").write_text(json.dumps(document))  # which is YAML, too
    run = [str(PROMTOOL), "test", "rules", "test.yml"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr


def test_all_that_is_exported_is_what_prometheus_takes(tmp_path: Path) -> None:
    """And of every shipped rule it is said whether it is."""
    exported = prometheus_rules(DEFAULT_RULES)
    (tmp_path / "rules.yml").write_text(exported.text)
    subprocess.run([str(PROMTOOL), "check", "rules", "rules.yml"], cwd=tmp_path, check=True)
    left_out = {reason.partition(":")[0] for reason in exported.left_out}
    written = set(re.findall(r'- alert: "([\w-]+)"', exported.text))
    assert {rule.name for rule in DEFAULT_RULES.rules} == left_out | written


async def test_metrics_that_rules_name_are_exported(tmp_path: Path) -> None:
    """By a real monitor, after a replica's report."""
    exported = prometheus_rules(read_rules(RULES)).text
    named = set(re.findall(r"headrace_\w+?(?=_bucket|_count\b|\W)", exported))
    async with alerting(tmp_path) as scene:
        await asyncio.wait_for(scene.serve(4, failed=1), 20)
        _, page = await scene.monitor.get("/metrics")
    assert set() == {name for name in named if f"# TYPE {name.removesuffix('_total')}" not in page}
