"""The replica's metrics, as a scraper reads them over HTTP after real requests."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from headrace.service.http.app import HttpApp
from headrace.service.http.server import open_http_server
from headrace_inference.adapters.metrics.machine import MachineMeter
from headrace_inference.adapters.metrics.replica import Meter, ReplicaMetrics
from headrace_inference.adapters.metrics.summaries import SummaryWindows
from headrace_inference.app.metrics_server import add_text_metrics
from headrace_inference.domain.ingress.ingress import Ingress
from tests.rpc.rest_fixtures import GOOD, Http, arithmetic, open_http

WORK = {
    "nv_inference_request_success",
    "nv_inference_request_failure",
    "nv_inference_count",
    "nv_inference_exec_count",
    "nv_inference_request_duration_us",
    "nv_inference_queue_duration_us",
    "nv_inference_compute_input_duration_us",
    "nv_inference_compute_infer_duration_us",
    "nv_inference_compute_output_duration_us",
}
STATE = {"nv_inference_pending_request_count", "nv_model_load_duration_secs"}
SUMMARIES = {
    f"nv_inference_{part}_summary_us"
    for part in ("request", "queue", "compute_input", "compute_infer", "compute_output")
}
INPUTS = [
    {"name": name, "datatype": "FP32", "shape": [3, 4], "data": [1] * 12} for name in ("a", "b")
]


class Scraper:
    """A /metrics of its own over a data plane."""

    def __init__(self, ingress: Ingress, *meters: Meter, summaries: bool = False) -> None:
        windows = SummaryWindows() if summaries else None
        self.metrics = ReplicaMetrics(
            ingress.reconciler,
            ingress.book,
            lambda: [("headrace_inference_applied_revision", "The state", 1)],
            {"front": "grpcio"},
            meters,
            windows,
        )

    async def text(self) -> str:
        """What a scraper gets."""
        app = HttpApp(str)
        add_text_metrics(app, self.metrics)
        async with (
            open_http_server(app, "127.0.0.1", 0) as port,
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/metrics") as response,
        ):
            return await response.text()


def values(text: str, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """The values of all series of this name, by their labels.

    The parser puts `_total` behind the names of counters that have none.
    """
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in (name, f"{name}_total")
    }


def types(text: str) -> dict[str, str]:
    """The type of every metric, as the text says it."""
    lines = [line.split() for line in text.splitlines() if line.startswith("# TYPE ")]
    return {name: kind for _, _, name, kind in lines}


async def call_arithmetic(http: Http) -> None:
    """One request of three rows."""
    status, _ = await http.post({"inputs": INPUTS}, "/v2/models/arithmetic/infer")
    assert status == 200


async def test_triton_counts(tmp_path: Path) -> None:
    """Triton's counters count requests, rows and runs of each version, under its exact names."""
    async with open_http(tmp_path, arithmetic()) as http:
        await call_arithmetic(http)
        await call_arithmetic(http)
        text = await Scraper(http.server.ingress).text()
    assert dict.fromkeys(WORK, "counter") == {k: v for k, v in types(text).items() if k in WORK}
    assert dict.fromkeys(STATE, "gauge") == {k: v for k, v in types(text).items() if k in STATE}
    assert 'nv_inference_request_success{model="arithmetic",version="1"} 2\n' in text
    assert 'nv_inference_count{model="arithmetic",version="1"} 6\n' in text
    assert 'nv_inference_exec_count{model="arithmetic",version="1"} 2\n' in text
    assert 'nv_inference_pending_request_count{model="arithmetic",version="1"} 0\n' in text
    total = values(text, "nv_inference_request_duration_us")
    parts = [
        values(text, f"nv_inference_{part}_duration_us")
        for part in ("queue", "compute_input", "compute_infer", "compute_output")
    ]
    key = (("model", "arithmetic"), ("version", "1"))
    assert 0 < sum(part[key] for part in parts) <= total[key] + len(parts)
    assert values(text, "nv_model_load_duration_secs")[key] >= 0


async def test_own_metrics_beside(tmp_path: Path) -> None:
    """Our own names have routes, reasons and true histograms; a name that leads nowhere is no series."""
    async with open_http(tmp_path, arithmetic()) as http:
        await call_arithmetic(http)
        await http.post(GOOD, '/v2/models/no\\such"model\n/infer')
        await http.post(GOOD, "/v2/models/arithmetic/infer")
        text = await Scraper(http.server.ingress).text()
    requests = values(text, "headrace_inference_requests_total")
    errors = values(text, "headrace_inference_errors_total")
    buckets = values(text, "headrace_inference_request_seconds_bucket")
    key = (("model", "arithmetic"), ("version", "1"))
    assert {(*key[:1], ("route", "stable"), *key[1:]): 1} == requests
    assert {
        (("model", ""), ("reason", "MODEL_NOT_FOUND"), ("version", "0")): 1,
        (("model", "arithmetic"), ("reason", "INPUT_UNKNOWN"), ("version", "1")): 1,
    } == errors
    assert 1 == buckets[(("le", "+Inf"), *key)] == max(buckets.values())
    assert 'version="0"' not in "".join(line for line in text.splitlines() if "nv_" in line)
    assert 'headrace_inference_build_info{front="grpcio"} 1\n' in text
    assert "headrace_inference_applied_revision 1\n" in text


async def test_summaries_are_an_option(tmp_path: Path) -> None:
    """With the setting, Triton's summaries are there, too, with its quantiles."""
    async with open_http(tmp_path, arithmetic()) as http:
        await call_arithmetic(http)
        without = await Scraper(http.server.ingress).text()
        scraper = Scraper(http.server.ingress, summaries=True)
        first, second = await scraper.text(), await scraper.text()
    assert {} == {k: v for k, v in types(without).items() if k in SUMMARIES}
    assert dict.fromkeys(SUMMARIES, "summary") == {
        k: v for k, v in types(first).items() if k in SUMMARIES
    }
    name = "nv_inference_request_summary_us"
    quantiles = {dict(labels)["quantile"]: value for labels, value in values(first, name).items()}
    assert ["0.5", "0.9", "0.95", "0.99", "0.999"] == sorted(quantiles)
    assert min(quantiles.values()) > 0
    assert all(math.isnan(value) for value in values(second, name).values())
    assert [1.0] == list(values(second, f"{name}_count").values())


async def test_the_machine_is_shown(tmp_path: Path) -> None:
    """CPU and memory of the machine are there."""
    async with open_http(tmp_path, arithmetic()) as http:
        here = await Scraper(http.server.ingress, MachineMeter()).text()
    (utilization,) = values(here, "nv_cpu_utilization").values()
    (total,) = values(here, "nv_cpu_memory_total_bytes").values()
    (used,) = values(here, "nv_cpu_memory_used_bytes").values()
    assert 0 <= utilization <= 1
    assert 0 < used < total


async def test_every_scraper_reads_the_text(tmp_path: Path) -> None:
    """A scraper that prefers OpenMetrics gets the text format, and labels with quotes survive."""
    odd: Any = {"front": 'a "quoted" \\ name\nof two lines'}
    async with open_http(tmp_path, arithmetic()) as http:
        ingress = http.server.ingress
        metrics = ReplicaMetrics(ingress.reconciler, ingress.book, list, odd)
        text = metrics.text(metrics.moment()).decode()
    assert [(("front", odd["front"]),)] == list(values(text, "headrace_inference_build_info"))
