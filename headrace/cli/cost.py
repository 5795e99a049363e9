"""`headrace cost`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.arguments import OnlyModelName
from headrace.cli.command import Cli, command
from headrace.cli.durations import seconds_in

if TYPE_CHECKING:
    from headrace.client import Statistics, VersionStatistics
    from headrace.telemetry.costs import Costs, Prices

COLUMNS = (
    "model", "version>", "requests>", "core hours>", "kWh>", "energy by", "cost>", "per 1,000 requests>",
    "per 1M tokens>",
)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "cost")(cost)


async def cost(
    cli: Cli,
    name: OnlyModelName = "",
    window: Annotated[str, typer.Option(help="How far back: 1d, 12h, 30m.")] = "1d",
) -> None:
    """Show what versions took of processors and energy, and what that costs by the monitor's prices.

    Processor time is measured by replicas, and shared among versions by how long their runs took. Energy
    is measured (nvml, rapl), or processor time times a setting (model). Prices are the monitor's settings
    --price-per-core-hour and --price-per-kwh, in your currency; without them no cost is shown.
    """
    async with cli.client() as client:
        found = await client.statistics(seconds_in(window, "--window") or 86_400.0, name)
    costs = [(each, _costs(each, found.prices)) for each in found.versions]
    known = [(each, costs) for each, costs in costs if costs is not None]
    summary = {
        "start_at": found.start_at,
        "end_at": found.end_at,
        "prices": asdict(found.prices),
        "versions": [
            {"model": each.model, "version": each.version, **asdict(costs)} for each, costs in known
        ],
        "not_covered": len(found.gaps),
    }
    cli.show(summary, lambda: list(_views(found, known)))


def _costs(found: VersionStatistics, prices: Prices) -> Costs | None:
    """What a version cost; None where no replica tells."""
    from headrace.telemetry.costs import costs_of

    cpu_us, energy = found.measures.get("cpu_time_us"), found.measures.get("energy_mj", {})
    if not isinstance(cpu_us, int):
        return None
    tokens = sum(
        _sum(found.measures.get(name, {})) for name in ("prompt_tokens", "generated_tokens")
    )
    requests = found.success_count + found.error_count
    by_source = {str(name): int(count) for name, count in _counts(energy).items()}
    return costs_of(cpu_us, by_source, requests, tokens, prices)


def _counts(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _sum(value: object) -> int:
    return int(sum(_counts(value).values()))


def _views(found: Statistics, known: Sequence[tuple[VersionStatistics, Costs]]) -> Iterator[Any]:
    if not known:
        yield "No replica told of processor time in this window."
        return
    yield output.table(COLUMNS, [_row(each, costs) for each, costs in known])
    if not found.prices.is_set:
        yield "(no prices: the monitor's --price-per-core-hour and --price-per-kwh are not set)"
    else:
        yield (
            f"(prices: {found.prices.per_core_hour:g} a core hour, {found.prices.per_kwh:g} a kWh)"
        )
    if any(costs.is_without_energy for _, costs in known):
        yield "(some replicas tell no energy: their cost is that of processor time alone)"
    if found.gaps:
        yield f"({len(found.gaps)} stretches are not wholly counted: `headrace top` shows them)"


def _row(found: VersionStatistics, costs: Costs) -> tuple[object, ...]:
    return (
        found.model,
        found.version,
        f"{costs.requests:,}",
        f"{costs.core_hours:.4g}",
        _number(costs.kwh),
        ", ".join(costs.energy_by) or "-",
        _number(costs.total),
        _number(costs.per_thousand_requests),
        _number(costs.per_million_tokens),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
