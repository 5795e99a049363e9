"""`headrace top`."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.arguments import OnlyModelName
from headrace.cli.command import Cli, command
from headrace.cli.unknown_models import refuse_unknown

if TYPE_CHECKING:
    from headrace.client import (
        AsyncClient,
        Latency,
        PartStatistics,
        Statistics,
        VersionStatistics,
    )

COLUMNS = (
    "model",
    "version>",
    "req/s>",
    "errors>",
    "left>",
    "p50>",
    "p99>",
    "queue p99>",
    "mean batch>",
    "fill>",
)
PART_COLUMNS = ("model", "version>", "", "answered>", "errors>", "left>", "p50>", "p99>")
"""Of parts of the requests; the third is named by the label. Times of reasons are those until the error."""
TEXT_COLUMNS = (
    "text of",
    "version>",
    "tokens/s>",
    "prompt tokens/s>",
    "reused>",
    "first token p50>",
    "p99>",
    "between p50>",
    "p99>",
)
"""Of versions that generated text."""
GAPS = {
    "TRIMMED": "older windows are gone",
    "REPLICA_LOST": "a replica ended without its last report",
    "REPLICA_SILENT": "a replica is silent",
    "REPORTS_MISSING": "reports are missing",
    "VERSIONS_FOLDED": "versions beyond the limit count as _other",
    "MONITOR_AWAY": "another monitor does not answer: its replicas' counts are not here",
}
WRONG_CLOCK_SECONDS = 2.0
"""From here on the monitor corrects the times of a replica's reports."""


class By(StrEnum):
    """The labels that tell parts of the requests apart."""

    REASON = "reason"
    ROUTE = "route"
    SLICE = "slice"
    CALLER = "caller"


UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
MAX_SECONDS = 100 * 366 * 86400
"""A century: what is really kept is the monitor's to say."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "top")(top)


async def top(
    cli: Cli,
    name: OnlyModelName = "",
    window: Annotated[str, typer.Option(help="How far back: 30s, 5m, 2h.")] = "60s",
    once: Annotated[bool, typer.Option("--once", help="Print once and end.")] = False,
    by: Annotated[
        list[By] | None,
        typer.Option(
            help="Also tell parts of the requests apart: by the reason of errors, route, slice or caller."
        ),
    ] = None,
) -> None:
    """Show live what every version does: requests, errors, latency, batches. Ctrl-C ends it.

    Requests whose callers left before they were answered are no errors: they are told beside them.
    """
    seconds, parts_by = parse_window(window), tuple(by or ())
    async with cli.client() as client:
        if once:
            found = await client.statistics(seconds, name, parts_by=parts_by)
            await _check_name(client, name, found)
            cli.show(found, lambda: views(found))
            return
        if name:
            await _check_name(client, name, await client.statistics(seconds, name))
        if cli.as_json or not sys.stdout.isatty():
            async for each in client.watch_statistics(seconds, name, parts_by=parts_by):
                cli.show(each, partial(_page, each))
        else:
            await _live(client.watch_statistics(seconds, name, parts_by=parts_by))


async def _check_name(client: AsyncClient, name: str, found: Statistics) -> None:
    """Raises NotFound where nothing was asked of a model that there is not."""
    if name and not found.versions:
        await refuse_unknown(client, name)


def _page(statistics: Statistics) -> list[Any]:
    return [*views(statistics), ""]


async def _live(watch: AsyncIterator[Statistics]) -> None:
    from rich.console import Group
    from rich.live import Live

    with Live(console=output.console(), screen=False, auto_refresh=False) as live:
        async for each in watch:
            live.update(Group(*views(each)), refresh=True)


def parse_window(text: str) -> float:
    """A span such as 30s, 5m or 2h in seconds. Raises typer.BadParameter."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    seconds = float(match[1]) * UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= MAX_SECONDS:
        raise typer.BadParameter(
            f"--window {text[:40]!r} is not a span of time such as 30s, 5m or 2h"
        )
    return seconds


def views(statistics: Statistics) -> list[Any]:
    """All of it: tables of versions, of parts of their requests, and of those that generated text."""
    return [view(statistics), *part_views(statistics), *text_views(statistics)]


def part_views(statistics: Statistics) -> list[Any]:
    """A table for each label by which requests are told apart."""
    found: list[Any] = []
    for label in By:
        rows = [
            _part_row(each, part)
            for each in statistics.versions
            for part in each.parts
            if part.label == label
        ]
        if rows:
            columns = [name or label for name in PART_COLUMNS]
            found += ["", output.table(columns, rows)]
    return found


def _part_row(each: VersionStatistics, part: PartStatistics) -> tuple[object, ...]:
    latency = part.failed if part.label == "reason" else part.total
    return (
        each.model,
        each.version or "-",
        part.value,
        "-" if part.label == "reason" else part.success_count,
        part.error_count,
        part.left_count,
        *_quantiles(latency if latency.count else None),
    )


def text_views(statistics: Statistics) -> list[Any]:
    """The tables of versions that generated text: none, or one."""
    generating = [each for each in statistics.versions if each.prompt_tokens]
    if not generating:
        return []
    span = max(1.0, statistics.end_at - statistics.start_at)
    ranked = sorted(generating, key=lambda each: -each.generated_tokens)
    return ["", output.table(TEXT_COLUMNS, [_text_row(each, span) for each in ranked])]


def _text_row(each: VersionStatistics, span: float) -> tuple[object, ...]:
    return (
        each.model,
        each.version or "-",
        f"{each.generated_tokens / span:.1f}",
        f"{each.prompt_tokens / span:.1f}",
        "-" if each.reused_prompt_share is None else f"{each.reused_prompt_share:.0%}",
        *_quantiles(each.first_token),
        *_quantiles(each.between_tokens),
    )


def _quantiles(latency: Latency | None) -> tuple[str, str]:
    if latency is None:
        return "-", "-"
    return output.duration(latency.p50_seconds), output.duration(latency.p99_seconds)


def view(statistics: Statistics) -> Any:
    """Statistics as a table: busiest first, or a line where nothing happened."""
    span = statistics.end_at - statistics.start_at
    ranked = sorted(statistics.versions, key=lambda each: -each.requests_per_second)
    count = len(statistics.replicas)
    replicas = "1 replica" if count == 1 else f"{count} replicas"
    reported = f"{replicas} reported in the last {span:.0f} s"
    if incomplete := _not_covered(statistics):
        reported = f"{reported}; incomplete: {incomplete}"
    if not ranked:
        return f"no requests; {reported}"
    return output.table(COLUMNS, [_row(each) for each in ranked], title=reported)


def _not_covered(statistics: Statistics) -> str:
    """Return what the numbers leave out, and whose clocks are wrong, in a few words; '' for nothing."""
    counts = Counter(gap.reason for gap in statistics.gaps)
    told = [GAPS[reason] for reason in counts if reason in GAPS]
    wrong = sum(
        abs(each.clock_ahead_seconds) >= WRONG_CLOCK_SECONDS for each in statistics.replicas
    )
    if wrong:
        told.append(
            f"{wrong} of the clocks are wrong" if wrong > 1 else "a replica's clock is wrong"
        )
    return ", ".join(told)


def _durations(each: VersionStatistics) -> Sequence[str]:
    """Of requests that were answered well: where there were none, there is nothing to tell."""
    if not each.success_count:
        return ["-"] * 3
    told = (each.total.p50_seconds, each.total.p99_seconds, each.queue.p99_seconds)
    return [output.duration(seconds) for seconds in told]


def _row(each: VersionStatistics) -> tuple[object, ...]:
    return (
        each.model,
        each.version or "-",
        f"{each.requests_per_second:.1f}",
        each.error_count - each.left_count,
        each.left_count,
        *_durations(each),
        *_batches(each),
    )


def _batches(each: VersionStatistics) -> tuple[str, str]:
    """Steps of versions of text hold tokens of many requests: a mean of rows tells nothing of them."""
    if each.prompt_tokens:
        return "-", "-"
    fill = "-" if each.batch_fill is None else f"{each.batch_fill:.0%}"
    return f"{each.mean_batch_rows:.1f}", fill
