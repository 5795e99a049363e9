"""The report of an optimisation: a table, a plot of the trade, and all figures as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import msgspec

from headrace.lifecycle.optimisation.optimisation import Optimisation, rows_of_table
from headrace.lifecycle.optimisation.plots import trade_plot
from headrace.lifecycle.reports.files import ReportFile, write_whole
from headrace.lifecycle.reports.pages import figure, page, table


def report_files(found: Optimisation) -> tuple[ReportFile, ...]:
    """`trade.png`, `report.json` and `report.html`. Raises FailedPrecondition (LIFECYCLE_EXTRA_MISSING)."""
    plot = trade_plot(found)
    figures = msgspec.json.format(msgspec.json.encode(found.document()))
    return (
        ReportFile("trade.png", plot),
        ReportFile("report.json", figures),
        ReportFile("report.html", report_page(found, plot).encode()),
    )


def write_report(found: Optimisation, folder: Path) -> None:
    """Write the report's files into a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in report_files(found):
        write_whole(folder / file.name, file.data)


def report_page(found: Optimisation, plot: bytes) -> str:
    """The report as a page of its own, its plot inside."""
    headings, rows = rows_of_table(found)
    parts = (
        f"<p>{escape(found.verdict())}</p>",
        table([each.rstrip(">") for each in headings], rows),
        f"<ul>{''.join(f'<li>{escape(each)}</li>' for each in remarks(found))}</ul>",
        figure(plot, "Loss against size and latency"),
    )
    return page(f"Optimisation of version {found.version} of {found.model}", parts)


def remarks(found: Optimisation) -> Iterator[str]:
    """What is to be known of the figures, a sentence each."""
    losses = [
        each.candidate.difference.loss.measure
        for each in found.measured
        if each.candidate and each.candidate.difference
    ]
    if losses:
        split = "" if found.is_split else ", by which they were made, too: they are few"
        yield f"loss: {losses[0]}, over {found.rows} rows of {found.sample_name}{split}"
    if found.through_server:
        yield "p50 and rows/s: requests of one row through the server, all versions by turns"
    else:
        yield "p50 and rows/s: runs on one core of this machine, without a server, by turns"
    for each in found.measured:
        if each.candidate is None:
            continue
        facts = "; ".join(f"{name} {value}" for name, value in each.candidate.facts.items())
        for text in filter(None, (facts, *each.candidate.notes)):
            yield f"{each.name}: {text}"
    if found.chosen is not None and found.without_batching is not None:
        name = found.without_batching.name
        yield f"{name} is better by {found.goal}, but loses batching: --lose-batching takes it"
    for candidate in found.refused:
        yield f"{candidate.name} was left out: {candidate.refused}"
    if found.not_tried:
        yield f"no time was left for {', '.join(found.not_tried)}: --seconds gives more"
