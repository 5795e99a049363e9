"""KEDA's query, as Prometheus answers it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.kubernetes.manifests import manifests, needs_tools, of_kind, rendered
from tests.e2e.prometheus import PROMTOOL

pytestmark = [
    *needs_tools,
    pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed"),
]
BUSY = {"0.01": "0+100x10", "0.1": "0+190x10", "+Inf": "0+200x10"}
"""Of 200 requests a minute 100 wait for up to 10 ms, 190 up to 100 ms."""
IDLE = {"0.01": "100x10", "0.1": "190x10", "+Inf": "200x10"}


@pytest.mark.parametrize(
    ("buckets", "pod", "expected"),
    [
        (BUSY, "trial-headrace-inference-7d-x", 0.1),
        (IDLE, "trial-headrace-inference-7d-x", 0.0),
        (BUSY, "another-inference-7d-x", 0.0),
        ({}, "", 0.0),
    ],
)
def test_the_query_is_the_quantile_and_0_without_requests(
    tmp_path: Path, buckets: dict[str, str], pod: str, expected: float
) -> None:
    """Of this release's pods alone; nothing that Prometheus does not know makes it fail."""
    scaled = of_kind(manifests(rendered("secure")), "ScaledObject")["inference"]
    query = scaled["spec"]["triggers"][0]["metadata"]["query"]
    rule = {"record": "waiting", "expr": query}
    rules = {"groups": [{"name": "keda", "rules": [rule]}]}
    series = [
        {
            "series": f'headrace_inference_queue_seconds_bucket{{namespace="models",pod="{pod}",'
            f'model="m",version="1",le="{bound}"}}',
            "values": values,
        }
        for bound, values in buckets.items()
    ]
    sample = {"labels": "waiting", "value": expected}
    asked = {"expr": "waiting", "eval_time": "10m", "exp_samples": [sample]}
    trial = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": [asked]}],
    }
    (tmp_path / "rules.yml").write_text(json.dumps(rules))
    (tmp_path / "trial.yml").write_text(json.dumps(trial))
    ran = subprocess.run(
        [PROMTOOL or "", "test", "rules", str(tmp_path / "trial.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == ran.returncode, ran.stdout + ran.stderr
