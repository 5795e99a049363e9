"""The report of an optimisation: a table, a plot of the trade, and all figures as JSON."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator
from pathlib import Path

import msgspec

from headrace.lifecycle.optimisation.optimisation import Optimisation, rows_of_table
from headrace.lifecycle.optimisation.plots import trade_plot

_STYLE = """body{font:14px system-ui,sans-serif;margin:2em;max-width:110em}table{border-collapse:collapse}
td,th{padding:.3em .7em;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}
td:first-child,th:first-child,td:last-child{text-align:left}img{max-width:100%}"""


def attachments(found: Optimisation) -> Iterator[tuple[str, bytes, str]]:
    """Path, bytes and media type of each file of the report."""
    plot = trade_plot(found)
    figures = msgspec.json.format(msgspec.json.encode(found.document()))
    yield "optimisation/trade.png", plot, "image/png"
    yield "optimisation/report.json", figures, "application/json"
    yield "optimisation/report.html", page(found, plot).encode(), "text/html"


def write_report(found: Optimisation, folder: Path) -> None:
    """Write the report's files into a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, data, _ in attachments(found):
        place = folder / Path(path).name
        partial = place.with_name(f".{place.name}.partial")
        partial.write_bytes(data)
        partial.replace(place)


def page(found: Optimisation, plot: bytes) -> str:
    """The report as a page of its own, its plot inside."""
    headings, rows = rows_of_table(found)
    title = f"Optimisation of version {found.version} of {found.model}"
    head = "".join(f"<th>{html.escape(each.rstrip('>'))}</th>" for each in headings)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    lines = "".join(f"<li>{html.escape(each)}</li>" for each in remarks(found))
    image = base64.b64encode(plot).decode()
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(found.verdict())}</p>"
        f"<table><tr>{head}</tr>{body}</table><ul>{lines}</ul>"
        f'<img alt="Loss against size and latency" src="data:image/png;base64,{image}"></html>\n'
    )


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
