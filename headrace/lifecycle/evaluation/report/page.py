"""Writes the page of an evaluation's report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from headrace.lifecycle.evaluation.evaluation import Evaluation
from headrace.lifecycle.evaluation.report.plots import Plot
from headrace.lifecycle.reports.pages import figure, page, table, warning
from headrace.state.annotation_records import Metric


def report_page(evaluation: Evaluation, plots: Sequence[Plot], verdict: Sequence[str] = ()) -> str:
    """The page as HTML. All that others wrote, such as names of columns, is escaped."""
    parts = (
        *_facts(evaluation),
        *_lines("Rules", verdict),
        *_lines("Look at first", (*evaluation.checks.warnings, *evaluation.notes)),
        *_metrics(evaluation),
        *_figures(plots),
        *_by_slice(evaluation),
        *_data(evaluation),
        *_examples(evaluation),
    )
    return page(f"{evaluation.model} version {evaluation.version}: {evaluation.data_name}", parts)


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
    yield table((), rows)


def _lines(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = list(lines)
    if found:
        yield f"<h2>{title}</h2>"
        yield from map(warning, found)


def _metrics(evaluation: Evaluation) -> Iterator[str]:
    whole = [each for each in evaluation.metrics if not each.slice]
    yield "<h2>Metrics</h2>"
    yield table(
        ("metric", "value", "95 % interval", "rows"),
        [_row(each.name, each) for each in whole if "." not in each.name],
    )
    classes = [each for each in whole if "." in each.name]
    if classes:
        yield "<h2>By class</h2>"
        yield table(
            ("metric", "value", "95 % interval", "rows"),
            [_row(each.name, each) for each in classes],
        )
    if evaluation.undefined:
        yield "<h2>Without a value</h2>"
        yield table((), evaluation.undefined.items())


def _figures(plots: Sequence[Plot]) -> Iterator[str]:
    if plots:
        yield "<h2>Plots</h2>"
    yield from (figure(plot.png, plot.title) for plot in plots)


def _by_slice(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.slices:
        yield "<h2>By slice</h2>"
        found = [each for each in evaluation.metrics if each.slice]
        names = dict.fromkeys(each.name for each in found)
        ordered = [each for name in names for each in found if each.name == name]
        yield table(
            ("slice", "metric", "value", "95 % interval", "rows"),
            [(each.slice, *_row(each.name, each)) for each in ordered],
        )


def _data(evaluation: Evaluation) -> Iterator[str]:
    checks = evaluation.checks
    yield "<h2>The data</h2>"
    yield table(
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
        yield table(("column", "rows"), [(k, f"{v:,}") for k, v in checks.missing.items()])
    if checks.balance:
        yield "<h2>Classes</h2>"
        total = sum(checks.balance.values())
        yield table(
            ("class", "rows", "share"),
            [(name, f"{n:,}", f"{n / total:.1%}") for name, n in checks.balance.items()],
        )


def _examples(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.examples:
        yield "<h2>Examples</h2>"
        yield table(
            ("prompt", "reference", "answer"),
            [(str(e["prompt"]), e["reference"], e["answer"]) for e in evaluation.examples],
        )


def _row(name: str, metric: Metric) -> tuple[str, str, str, str]:
    interval = ""
    if metric.lower is not None and metric.upper is not None:
        interval = f"{metric.lower:.4g} to {metric.upper:.4g}"
    return name, f"{metric.value:.4g}", interval, f"{metric.rows:,}"
