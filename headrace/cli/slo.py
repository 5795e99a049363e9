"""`headrace slo`: how the service objectives stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from headrace.alert_rules.durations import duration_text
from headrace.cli import output
from headrace.cli.arguments import OnlyModelName
from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable

if TYPE_CHECKING:
    from headrace.client.alert_resources import ObjectiveStatus

COLUMNS = ("objective", "model", "good>", "target>", "budget left>", "of", "burning")


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "slo")(slo)


async def slo(cli: Cli, name: OnlyModelName = "") -> None:
    """Show the service objectives: what is left of their budgets of errors, and how fast they burn.

    A rate of 1 uses a budget up in exactly its period; `!` marks where a rule says that it is too fast.
    """
    async with cli.client() as client:
        found = await client.objectives(name)
    cli.show(
        {"objectives": found},
        lambda: (
            output.table(COLUMNS, map(_row, found))
            if found
            else (
                "no objectives of models that were asked anything: `headrace apply FILE` sets "
                "them, as rules of kind objective"
            )
        ),
    )


def _row(each: ObjectiveStatus) -> tuple[object, ...]:
    model = f"{each.model}/{each.version}" if each.version else each.model
    within = f" in {duration_text(each.latency_seconds)}" if each.latency_seconds else ""
    covered = duration_text(round(each.covered_seconds / 60) * 60.0 or 60.0)
    known = "" if each.covered_seconds >= each.period_seconds else f", {covered} known"
    return (
        printable(each.rule),
        printable(model),
        f"{each.good_share:.4%}" if each.requests else "-",
        f"{each.target:.5g}{within}",
        f"{each.budget_left:.1%}",
        f"{duration_text(each.period_seconds)}{known}",
        ", ".join(_burning(each)),
    )


def _burning(each: ObjectiveStatus) -> list[str]:
    seen: dict[float, str] = {}
    for burn in each.burn_rates:
        mark = "!" if burn.threshold and burn.rate >= burn.threshold else ""
        seen[burn.window_seconds] = f"{burn.rate:.2g} in {duration_text(burn.window_seconds)}{mark}"
    return [seen[window] for window in sorted(seen)]
