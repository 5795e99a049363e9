"""Writes the page of a report: one file without a script, for screens, dark ones too, and for paper."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html import escape

from headrace.lifecycle.evaluation.evaluation import Evaluation
from headrace.lifecycle.evaluation.report.plots import Plot
from headrace.state.annotation_records import Metric

_STYLE = """
:root{color-scheme:light dark;--line:#8886;--soft:#8882}
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;margin:.5rem 0}
td,th{padding:.15rem .7rem;text-align:left;border-bottom:1px solid var(--soft)}
td.n{text-align:right;font-variant-numeric:tabular-nums}
figure{display:inline-block;margin:.5rem;vertical-align:top}
figure img{max-width:100%;background:#fff;border-radius:4px}figcaption{font-size:.85rem}
.warn{border-left:3px solid #d29922;padding:.2rem .8rem;margin:.3rem 0;background:var(--soft)}
pre{white-space:pre-wrap;margin:0;font-size:.85rem}
@media print{body{margin:0;max-width:none}figure{break-inside:avoid}tr{break-inside:avoid}}
"""


def page(evaluation: Evaluation, plots: Sequence[Plot], verdict: Sequence[str] = ()) -> str:
    """The page as HTML. All that others wrote, such as names of columns, is escaped."""
    title = escape(f"{evaluation.model} version {evaluation.version}: {evaluation.data_name}")
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>",
        *_facts(evaluation),
        *_lines("Rules", verdict),
        *_lines("Look at first", (*evaluation.checks.warnings, *evaluation.notes)),
        *_metrics(evaluation),
        *_figures(plots),
        *_by_slice(evaluation),
        *_data(evaluation),
        *_examples(evaluation),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _facts(evaluation: Evaluation) -> Iterator[str]:
    said = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    rows = (
        ("task", str(evaluation.task)),
        ("read from", evaluation.how),
        ("target", evaluation.target),
        ("rows", f"{evaluation.rows:,}"),
        ("data", f"{evaluation.data_name}, SHA-256 {evaluation.data_digest}"),
        ("asked", f"{evaluation.requests:,} requests in {evaluation.seconds:.1f} s, {said}"),
        ("intervals", f"95 %, seed {evaluation.seed}, {evaluation.resamples} resamples"),
    )
    yield _table((), rows)


def _lines(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield f"<h2>{title}</h2>"
        yield from (f'<div class="warn">{escape(line)}</div>' for line in found)


def _metrics(evaluation: Evaluation) -> Iterator[str]:
    whole = [each for each in evaluation.metrics if not each.slice]
    yield "<h2>Metrics</h2>"
    yield _table(
        ("metric", "value", "95 % interval", "rows"),
        [_row(each.name, each) for each in whole if "." not in each.name],
    )
    classes = [each for each in whole if "." in each.name]
    if classes:
        yield "<h2>By class</h2>"
        yield _table(
            ("metric", "value", "95 % interval", "rows"),
            [_row(each.name, each) for each in classes],
        )
    if evaluation.undefined:
        yield "<h2>Without a value</h2>"
        yield _table((), evaluation.undefined.items())


def _figures(plots: Sequence[Plot]) -> Iterator[str]:
    if plots:
        yield "<h2>Plots</h2>"
    for plot in plots:
        data = base64.b64encode(plot.png).decode()
        title = escape(plot.title)
        yield (
            f'<figure><img alt="{title}" src="data:image/png;base64,{data}">'
            f"<figcaption>{title}</figcaption></figure>"
        )


def _by_slice(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.slices:
        yield "<h2>By slice</h2>"
        found = [each for each in evaluation.metrics if each.slice]
        names = dict.fromkeys(each.name for each in found)
        ordered = [each for name in names for each in found if each.name == name]
        yield _table(
            ("slice", "metric", "value", "95 % interval", "rows"),
            [(each.slice, *_row(each.name, each)) for each in ordered],
        )


def _data(evaluation: Evaluation) -> Iterator[str]:
    checks = evaluation.checks
    yield "<h2>The data</h2>"
    yield _table(
        (),
        [
            ("rows", f"{checks.rows:,}"),
            ("without a target", f"{checks.missing_targets:,}"),
            ("repeated", f"{checks.duplicates:,}"),
            ("constant columns", ", ".join(checks.constant) or "none"),
            ("columns that tell the target", ", ".join(checks.same_as_target) or "none"),
        ],
    )
    if checks.missing:
        yield "<h2>Missing values</h2>"
        yield _table(("column", "rows"), [(k, f"{v:,}") for k, v in checks.missing.items()])
    if checks.balance:
        yield "<h2>Classes</h2>"
        total = sum(checks.balance.values())
        yield _table(
            ("class", "rows", "share"),
            [(name, f"{n:,}", f"{n / total:.1%}") for name, n in checks.balance.items()],
        )


def _examples(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.examples:
        yield "<h2>Examples</h2>"
        yield _table(
            ("prompt", "reference", "answer"),
            [(str(e["prompt"]), e["reference"], e["answer"]) for e in evaluation.examples],
        )


def _row(name: str, metric: Metric) -> tuple[str, str, str, str]:
    interval = ""
    if metric.lower is not None and metric.upper is not None:
        interval = f"{metric.lower:.4g} to {metric.upper:.4g}"
    return name, f"{metric.value:.4g}", interval, f"{metric.rows:,}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    heading = "".join(f"<th>{escape(column)}</th>" for column in columns)
    lines = [f"<tr>{heading}</tr>"] if heading else []
    for row in rows:
        cells = (f"<td{_kind(cell)}>{escape(cell)}</td>" for cell in row)
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _kind(cell: str) -> str:
    return ' class="n"' if cell[:1].isdigit() or cell[:2] == "-0" else ""
