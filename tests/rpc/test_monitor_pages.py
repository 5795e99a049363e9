"""The monitor over HTTP: metrics for a scraper, statistics as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.rpc.monitors import MILLISECOND, report, running_monitor, telemetry

Sample = tuple[str, tuple[tuple[str, str], ...]]


def samples_of(text: str) -> dict[Sample, float]:
    """Every sample of a scrape, by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_the_scrape_parses_and_is_right(tmp_path: Path) -> None:
    """Counters and true histograms by model and version, over all replicas."""
    async with running_monitor(tmp_path) as monitor:
        await monitor.send(
            [
                report("a", 1, telemetry([MILLISECOND] * 3, failed=2), dropped=4),
                report("b", 1, telemetry([100 * MILLISECOND])),
            ]
        )
        status, text = await monitor.get("/metrics")
    samples = samples_of(text)
    version = (("model", "digits"), ("version", "1"))
    duration = "headrace_request_duration_seconds"
    upper = f"{2**20 / 1e9:.9g}"
    assert 200 == status
    assert 6 == samples["headrace_requests_total", version]
    reason = (version[0], ("reason", "QUEUE_FULL"), version[1])
    assert 2 == samples["headrace_request_errors_total", reason]
    assert 4 == samples[f"{duration}_count", version]
    assert pytest.approx(0.103) == samples[f"{duration}_sum", version]
    assert 3 == samples[f"{duration}_bucket", (("le", upper), *version)]
    assert 4 == samples[f"{duration}_bucket", (("le", "+Inf"), *version)]
    assert 4 == samples["headrace_request_queue_duration_seconds_count", version]
    assert 4 == samples["headrace_batch_rows_bucket", (("le", "1"), *version)]
    assert 4 == samples["headrace_executions_total", version]
    assert 2 == samples["headrace_monitor_reports_total", ()]
    dropped = "headrace_monitor_dropped_reports_total"
    assert (4, 0) == (samples[dropped, (("replica", "a"),)], samples[dropped, (("replica", "b"),)])


def reported_in(page: str) -> dict[Sample, float]:
    """The samples that are of the models and their reports, not of the monitor's own process."""
    return {
        key: value
        for key, value in samples_of(page).items()
        if key[0].startswith("headrace_") and not key[0].endswith("_evaluation_duration_seconds")
    }


def counted_in(text: str) -> dict[Sample, float]:
    """The same without gauges, which tell of the present: of this process, and when it did something."""
    gauges = {each.name for each in text_string_to_metric_families(text) if each.type == "gauge"}
    return {sample: value for sample, value in reported_in(text).items() if sample[0] not in gauges}


async def test_no_counter_goes_back_over_a_restart(tmp_path: Path) -> None:
    """Every sample of what was reported before a restart is there after it, as large or larger."""
    async with running_monitor(tmp_path) as monitor:
        await monitor.send([report("a", 1, telemetry([MILLISECOND] * 3, failed=2), dropped=1)])
        before = counted_in((await monitor.get("/metrics"))[1])
    async with running_monitor(tmp_path) as monitor:
        at_start = counted_in((await monitor.get("/metrics"))[1])
        await monitor.send([report("a", 1, telemetry([MILLISECOND], failed=1), boot_id="second")])
        after = counted_in((await monitor.get("/metrics"))[1])
    assert before == at_start
    assert before.keys() <= after.keys()
    assert [] == [sample for sample, value in before.items() if after[sample] < value]
    version = (("model", "digits"), ("version", "1"))
    assert 7 == after["headrace_requests_total", version]


async def test_odd_names_do_not_break_the_scrape(tmp_path: Path) -> None:
    """Quotes, newlines and backslashes in names come through a scrape unharmed."""
    odd = 'a"b\\c\nd'
    async with running_monitor(tmp_path) as monitor:
        await monitor.send([report(odd, 1, telemetry([MILLISECOND], model=odd))])
        _, text = await monitor.get("/metrics")
    assert 1 == reported_in(text)["headrace_requests_total", (("model", odd), ("version", "1"))]


async def test_live_and_ready(tmp_path: Path) -> None:
    """The probes answer, with facts."""
    async with running_monitor(tmp_path) as monitor:
        live = await monitor.get("/healthz")
        status, body = await monitor.get("/readyz")
    assert (200, '{"live":true}') == live
    expected = {"ready": True, "storing": True, "reports": 0, "window_bytes": 0}
    assert (200, expected) == (status, json.loads(body))


async def test_statistics_and_series_as_json(tmp_path: Path) -> None:
    """They have what versions did, once and step by step."""
    async with running_monitor(tmp_path) as monitor:
        await monitor.send([report("a", 1, telemetry([MILLISECOND] * 60, failed=6))])
        _, statistics = await monitor.get("/api/statistics?window=60")
        _, series = await monitor.get("/api/series?window=300&step=5")
    (version,) = json.loads(statistics)["versions"]
    assert ("digits", 1, 60, {"QUEUE_FULL": 6}) == (
        version["model"],
        version["version"],
        version["success_count"],
        version["error_counts"],
    )
    assert pytest.approx(66) == version["requests_per_second"]  # all in the second that is covered
    assert version["p99_ms"] == pytest.approx(1, rel=0.022)
    steps = json.loads(series)
    assert (60, 60) == (len(steps), steps[-1]["versions"][0]["success_count"])


@pytest.mark.parametrize(
    "path",
    [
        "/api/statistics?window=many",
        "/api/statistics?window=nan",
        "/api/statistics?window=-5",
        "/api/statistics?window=90000",
        "/api/series?step=0",
        "/api/series?window=60&step=61",
    ],
)
async def test_a_bad_question_is_a_400_with_its_reason(tmp_path: Path, path: str) -> None:
    """What cannot be answered says why, as JSON."""
    async with running_monitor(tmp_path) as monitor:
        status, body = await monitor.get(path)
    assert (400, "INVALID_QUERY") == (status, json.loads(body)["reason"])
