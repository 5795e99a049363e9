"""What the meters of the machine, its devices and the last minute show of what they read."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headrace.telemetry.histogram import Histogram
from headrace_inference.adapters.metrics.devices import DeviceMeter, open_device_meter
from headrace_inference.adapters.metrics.machine import CpuTimes, MachineMeter, read_cpu_times
from headrace_inference.adapters.metrics.summaries import QUANTILES, SummaryWindows
from headrace_inference.adapters.metrics.text import Family
from headrace_inference.adapters.metrics.triton import failures
from headrace_inference.domain.versions.statistics import Counts


class HandClock:
    """A clock that stands still between the test's steps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def lines(families: Any) -> list[str]:
    """All series, written out."""
    shown: list[Family] = list(families)
    return [line for family in shown for line in family.lines]


def test_utilization_is_of_the_time_between_scrapes() -> None:
    """Scrapes see the share of busy time since the one before, and a quick second one the same."""
    clock, times = HandClock(), [CpuTimes(100, 200)]
    meter = MachineMeter(lambda: times[-1], clock)
    shown = []
    for busy, total, seconds in ((130, 300, 15.0), (999, 1169, 0.1), (170, 350, 15.0)):
        times.append(CpuTimes(busy, total))
        clock.now += seconds
        shown += [line for line in lines(meter.families()) if "utilization" in line]
    assert [f"nv_cpu_utilization {value}" for value in (0.3, 0.3, 0.8)] == shown


def test_the_machines_own_figures() -> None:
    """Busy time is a part of all time, and used memory a part of all memory."""
    times = read_cpu_times()
    assert 0 < times.busy < times.total
    shown = dict(line.split() for line in lines(MachineMeter().families()))
    assert 0 < float(shown["nv_cpu_memory_used_bytes"]) < float(shown["nv_cpu_memory_total_bytes"])


@pytest.mark.parametrize(
    ("reason", "counted_as"),
    [
        ("QUEUE_FULL", "REJECTED"),
        ("QUEUE_TIMEOUT", "REJECTED"),
        ("QUEUE_WAIT_TOO_LONG", "REJECTED"),
        ("DEADLINE_OUT_OF_REACH", "REJECTED"),
        ("MAX_IN_FLIGHT_REACHED", "REJECTED"),
        ("CANCELLED", "CANCELED"),
        ("RUN_FAILED", "BACKEND"),
        ("RUN_TOO_LONG", "BACKEND"),
        ("INPUTS_REFUSED", "BACKEND"),
        ("INTERNAL", "OTHER"),
    ],
)
def test_failures(reason: str, counted_as: str) -> None:
    """A reason of ours is one of Triton's four, which are all there, if only with zero."""
    counted = failures({reason: 3})
    assert ["REJECTED", "CANCELED", "BACKEND", "OTHER"] == list(counted)
    assert {counted_as: 3} == {reason: count for reason, count in counted.items() if count}


def work(*durations_us: int) -> Counts:
    """Counts of requests that took so long."""
    counts = Counts()
    counts.total.record(np.array(durations_us, dtype=np.int64) * 1000)
    return counts


def shown_median(windows: SummaryWindows, counts: Counts) -> str:
    """The median of whole requests, as a scrape shows it."""
    first, *_ = lines(windows.families({("m", 1): counts, ("m", 0): counts}))
    start = 'nv_inference_request_summary_us{model="m",version="1",quantile="0.5"} '
    assert first.startswith(start)
    return first.removeprefix(start)


def test_quantiles_are_of_the_last_minute() -> None:
    """What is older than a minute no longer moves a quantile; nothing new is NaN."""
    clock = HandClock()
    windows = SummaryWindows(clock)
    counts = work(*[100] * 1000)
    medians = [shown_median(windows, work(*[100] * 1000))]
    for durations in ([], [5000] * 10, *[[]] * 7):
        clock.now += 15
        counts.total.record(np.array(durations, dtype=np.int64) * 1000)
        fresh = Counts()
        fresh.add(counts)
        medians.append(shown_median(windows, fresh))
    assert pytest.approx(100, rel=0.03) == float(medians[0])
    assert "NaN" == medians[1]
    assert [pytest.approx(5000, rel=0.03)] * 4 == [float(median) for median in medians[2:6]]
    assert ["NaN"] * 4 == medians[6:]


def test_summaries_keep_few_histograms() -> None:
    """Somebody who scrapes all the time does not grow what is kept."""
    clock = HandClock()
    windows = SummaryWindows(clock)
    for _ in range(1000):
        clock.now += 0.25
        list(windows.families({("m", 1): Counts()}))
    (window,) = windows._windows.values()
    assert len(window.former) <= 8
    assert 5 == len(QUANTILES)


class NvmlError(Exception):
    """What NVML raises."""


def nvml(power: Any) -> Any:
    """A driver with one device, which tells its power by this function and its energy not at all."""

    def refuse(_: Any) -> Any:
        raise NvmlError

    return SimpleNamespace(
        NVMLError=NvmlError,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: f"device-{index}",
        nvmlDeviceGetUUID=lambda handle: f"GPU-{handle}",
        nvmlDeviceGetUtilizationRates=lambda _: SimpleNamespace(gpu=37),
        nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(total=1000, used=10),
        nvmlDeviceGetPowerUsage=power,
        nvmlDeviceGetPowerManagementLimit=lambda _: 700_000,
        nvmlDeviceGetTotalEnergyConsumption=refuse,
    )


def test_devices() -> None:
    """A device's values come in Triton's units, and what it does not tell is left out."""
    label = '{gpu_uuid="GPU-device-0"}'
    assert [
        f"nv_gpu_utilization{label} 0.37",
        f"nv_gpu_memory_total_bytes{label} 1000",
        f"nv_gpu_memory_used_bytes{label} 10",
        f"nv_gpu_power_usage{label} 120.5",
        f"nv_gpu_power_limit{label} 700.0",
    ] == lines(DeviceMeter(nvml(lambda _: 120_500)).families())


def test_energy_counts_from_the_start() -> None:
    """Energy used before the replica started is not its."""
    driver = nvml(lambda _: 1000)
    readings = iter([5_000_000, 5_002_500])
    driver.nvmlDeviceGetTotalEnergyConsumption = lambda _: next(readings)
    energy = lines(DeviceMeter(driver).families())[-1]
    assert 'nv_energy_consumption{gpu_uuid="GPU-device-0"} 2.5' == energy


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without nvidia-ml-py there is no meter, and nobody minds."""
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with open_device_meter() as meter:
        assert meter is None


def test_the_sum_of_weighted_durations() -> None:
    """A duration that counts several times is in the histogram as often."""
    weighted, one_by_one = Histogram(), Histogram()
    weighted.record(np.array([1000, 90_000]), np.array([3, 2]))
    one_by_one.record(np.array([1000] * 3 + [90_000] * 2))
    assert one_by_one.sparse() == weighted.sparse()
    assert one_by_one.sum_ns == weighted.sum_ns


def test_a_truth_value_is_a_number() -> None:
    """A scraper that meets True drops the whole page."""
    family = Family("up", "gauge", "Whether it is up")
    family.add(value=True)
    family.add(value=False)
    assert ["up 1", "up 0"] == family.lines
