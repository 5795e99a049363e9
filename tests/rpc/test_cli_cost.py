"""`headrace cost` against a real monitor with prices and without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headrace.monitor.v1 import telemetry_pb2
from headrace.telemetry.costs import Prices, costs_of
from headrace.telemetry.measures import CPU_TIME, ENERGY, PROMPT_TOKENS, SUCCESSES
from headrace_monitor.domain.telemetry.tally import Tally
from headrace_monitor.settings import Settings
from headrace_monitor.wire.console.api.figures_json import cost_json
from tests.rpc.monitors import MILLISECOND, report, running_monitor, telemetry
from tests.rpc.test_cli_commands import Shell

HOUR_US = 3_600_000_000
KWH_MJ = 3_600_000_000
PRICES = Prices(per_core_hour=0.04, per_kwh=0.3)


async def test_costs_by_the_monitors_prices(tmp_path: Path) -> None:
    """Core hours and energy times their prices, for each version and 1,000 of its requests."""
    version = telemetry([MILLISECOND] * 100)
    version.measures.append(telemetry_pb2.Measure(name="cpu_time_us", count=HOUR_US // 2))
    energy = {"counts": {"model": KWH_MJ // 100}}
    version.measures.append(telemetry_pb2.Measure(name="energy_mj", labels=energy))
    prices: dict[str, Any] = {"price_per_core_hour": 0.04, "price_per_kwh": 0.3}
    async with running_monitor(tmp_path / "priced", **prices) as monitor:
        await monitor.send([report("a", 1, version)])
        shell = Shell(("--monitor", monitor.address))
        shown = await shell("--json", "cost", "digits", "--window", "60s")
        table = await shell("cost", "--window", "60s")
    found = json.loads(shown.output)
    (costs,) = found["versions"]
    assert {"per_core_hour": 0.04, "per_kwh": 0.3} == found["prices"]
    assert ("digits", 1, 100, 0.5, ["model"]) == (
        costs["model"],
        costs["version"],
        costs["requests"],
        costs["core_hours"],
        costs["energy_by"],
    )
    assert pytest.approx(0.023) == costs["total"]
    assert pytest.approx(0.23) == costs["per_thousand_requests"]
    assert costs["per_million_tokens"] is None
    assert "(prices: 0.04 a core hour, 0.3 a kWh)" in table.output, table.error
    async with running_monitor(tmp_path / "free") as monitor:
        await monitor.send([report("a", 1, version)])
        table = await Shell(("--monitor", monitor.address))("cost", "--window", "60s")
    assert "--price-per-core-hour" in table.output


def test_what_is_not_known_is_said() -> None:
    """No prices, no cost; no energy, that of processors alone; no requests, none of each."""
    free = costs_of(HOUR_US, {}, 10, 0, Prices())
    assert (1.0, None, None, None) == (
        free.core_hours,
        free.kwh,
        free.total,
        free.per_thousand_requests,
    )
    bare = costs_of(HOUR_US, {}, 0, 0, PRICES)
    assert (0.04, None, True) == (bare.total, bare.per_thousand_requests, bare.is_without_energy)
    text = costs_of(HOUR_US, {"nvml": KWH_MJ, "rapl": KWH_MJ}, 10, 2_000_000, PRICES)
    assert (("nvml", "rapl"), 2.0) == (text.energy_by, text.kwh)
    assert pytest.approx(0.32) == text.per_million_tokens


def test_the_console_has_the_same() -> None:
    """The JSON of a version's figures."""
    tally = Tally(
        {
            SUCCESSES: 10,
            CPU_TIME: HOUR_US,
            ENERGY: {"rapl": KWH_MJ},
            PROMPT_TOKENS: {"stable": 1_000},
        }
    )
    found = cost_json(tally, PRICES)
    assert found is not None
    assert ["rapl"] == found["energy_by"]
    assert pytest.approx(0.34) == found["total"]
    assert pytest.approx(34.0) == found["per_thousand_requests"]
    assert pytest.approx(340.0) == found["per_million_tokens"]


def test_prices_that_cannot_be(tmp_path: Path) -> None:
    """A price is not below nothing."""
    with pytest.raises(ValueError, match="--price-per-kwh"):
        Settings(data=tmp_path, price_per_kwh=-1.0)
