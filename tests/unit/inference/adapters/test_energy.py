"""Energy by the counters that there are: the processor's, which wraps, and else a stated model."""

from __future__ import annotations

import time
from pathlib import Path

from headrace_inference.adapters.energy import ProcessUsage
from headrace_inference.domain.versions.energy_shares import EnergySource


def package(folder: Path, used_uj: int, most: int = 1_000_000) -> Path:
    """A processor's counter, as the kernel shows it."""
    here = folder / "intel-rapl:0"
    here.mkdir(exist_ok=True)
    (here / "energy_uj").write_text(f"{used_uj}\n")
    (here / "max_energy_range_uj").write_text(f"{most}\n")
    return here


def work() -> None:
    """Use the processor for a moment that its clocks see."""
    began = time.process_time()
    while time.process_time() - began < 0.05:
        sum(range(1000))


def test_without_a_counter_energy_is_processor_time_times_watts(tmp_path: Path) -> None:
    meter = ProcessUsage(10.0, powercap=tmp_path)
    work()
    usage = meter.take()
    assert usage.cpu_us >= 50_000
    assert set(usage.joules) == {EnergySource.MODEL}
    assert abs(usage.joules[EnergySource.MODEL] - usage.cpu_us / 1e6 * 10) < 1e-3


def test_the_processors_counter_is_shared_by_busy_time_and_may_wrap(tmp_path: Path) -> None:
    package(tmp_path, 900_000)
    meter = ProcessUsage(10.0, powercap=tmp_path)
    package(tmp_path, 400_000)  # 0.5 J, around the end
    work()
    joules = meter.take().joules
    assert set(joules) == {EnergySource.RAPL}
    assert 0 <= joules[EnergySource.RAPL] <= 0.500002


def test_a_counter_that_may_not_be_read_is_none(tmp_path: Path) -> None:
    here = package(tmp_path, 0)
    (here / "energy_uj").unlink()
    assert ProcessUsage(10.0, powercap=tmp_path).source is EnergySource.MODEL


def test_devices_are_told_beside_the_processor(tmp_path: Path) -> None:
    total = [100.0]
    meter = ProcessUsage(10.0, lambda: total[0], tmp_path)
    total[0] = 103.5
    assert meter.take().joules[EnergySource.NVML] == 3.5
    total[0] = 0.0  # its driver was loaded anew
    assert meter.take().joules[EnergySource.NVML] == 0.0
