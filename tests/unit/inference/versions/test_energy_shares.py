"""What a process used is shared among its versions, and nothing is lost or invented."""

from __future__ import annotations

import random

from headrace_inference.domain.versions.energy_shares import Busy, EnergyShares, EnergySource, Usage


def test_shares_follow_run_time_and_add_up_over_any_number_of_intervals() -> None:
    bits, shares = random.Random(7), EnergyShares()
    used_us, used_mj = 0, 0.0
    cpu, energy = {"a": 0, "b": 0, "c": 0}, {"a": 0, "b": 0, "c": 0}
    for _ in range(500):
        usage = Usage(bits.randrange(1000), {EnergySource.MODEL: bits.random() / 100})
        ran = bits.randrange(3)
        busy = {"a": Busy(ran), "b": Busy(2 * ran), "c": Busy(0)}
        for key, share in shares.of(usage, busy).items():
            cpu[key] += share.cpu_us
            energy[key] += share.millijoules.get("model", 0)
        if any(each.ns for each in busy.values()):
            used_us += usage.cpu_us
            used_mj += usage.joules[EnergySource.MODEL] * 1000
    assert abs(sum(cpu.values()) - used_us) <= 1
    assert abs(sum(energy.values()) - used_mj) <= 1
    assert cpu["c"] == energy["c"] == 0
    assert 1.9 < cpu["b"] / cpu["a"] < 2.1


def test_a_devices_energy_is_of_those_that_run_on_it() -> None:
    usage = Usage(1000, {EnergySource.RAPL: 1.0, EnergySource.NVML: 5.0})
    found = EnergyShares().of(usage, {"cpu": Busy(30), "gpu": Busy(10, is_on_device=True)})
    assert found["cpu"].millijoules == {"rapl": 750}
    assert found["gpu"].millijoules == {"rapl": 250, "nvml": 5000}


def test_where_nothing_ran_nobody_has_used_anything() -> None:
    assert EnergyShares().of(Usage(1000, {EnergySource.MODEL: 1.0}), {"a": Busy(0)}) == {}
