"""Shows evaluations on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headrace.cli import output
from headrace.cli.error_report import printable

if TYPE_CHECKING:
    from headrace.lifecycle.evaluation import Evaluation, Judgement
    from headrace.state.annotation_records import Metric

_CLASSES_SHOWN = 12


def evaluation_lines(
    found: Evaluation, judged: Judgement, paths: Sequence[str], shown: Sequence[str]
) -> Iterator[Any]:
    """What people are told of it: metrics (`shown` alone, if any), rules, and where the report is kept."""
    yield (
        f"{found.model} version {found.version}: {found.task}, {found.rows:,} rows of "
        f"{printable(found.data_name)} in {found.requests:,} requests, {output.duration(found.seconds)}"
    )
    yield f"read from {printable(found.how)}"
    yield from (f"note: {printable(each)}" for each in (*found.checks.warnings, *found.notes))
    yield ""
    yield from _tables(found, shown)
    yield from (
        f"{name} has no value: {why}" for name, why in found.undefined.items() if "." not in name
    )
    if judged.verdict.results or judged.differences:
        yield ""
    yield from (printable(str(each)) for each in judged.differences)
    yield from map(printable, judged.verdict.lines())
    if paths:
        yield f"stored with the version: {len(paths)} files, {printable(paths[0])} first"


def _tables(found: Evaluation, shown: Sequence[str]) -> Iterator[Any]:
    whole = [each for each in found.metrics if not each.slice]
    kept = [each for each in whole if not shown or each.name in shown]
    plain = [each for each in kept if "." not in each.name or shown]
    yield output.table(("metric", "value>", "95 % interval", "rows>"), map(_row, plain))
    classes = [each for each in kept if "." in each.name and not shown]
    if classes:
        yield ""
        heading = ("class", "rows>", "precision>", "recall>", "f1>", "roc auc>")
        rows = _by_class(found, classes)
        kept_columns = len(heading) if any(row[-1] for row in rows) else len(heading) - 1
        yield output.table(heading[:kept_columns], [row[:kept_columns] for row in rows])
    if found.slices:
        yield ""
        names = shown or (found.primary,)
        yield output.table(
            ("slice", "metric", "value>", "95 % interval", "rows>"),
            [
                (each.slice, *_row(each))
                for each in found.metrics
                if each.slice and each.name in names
            ],
        )


def _by_class(found: Evaluation, classes: Sequence[Metric]) -> list[tuple[object, ...]]:
    from headrace.lifecycle.evaluation.measures.metric_names import class_suffixes

    values = {each.name: f"{each.value:.4f}" for each in classes}
    suffixes = class_suffixes(found.classes)
    rows = [
        (
            name,
            found.checks.balance.get(name, 0),
            *(
                values.get(f"{metric}.{suffix}", "")
                for metric in ("precision", "recall", "f1", "roc_auc")
            ),
        )
        for name, suffix in zip(found.classes, suffixes, strict=True)
    ]
    more = len(rows) - _CLASSES_SHOWN
    return [
        *rows[:_CLASSES_SHOWN],
        *([(f"and {more} more", "", "", "", "", "")] if more > 0 else []),
    ]


def _row(metric: Metric) -> tuple[object, ...]:
    interval = ""
    if metric.lower is not None and metric.upper is not None:
        interval = f"{_number(metric.lower)} to {_number(metric.upper)}"
    return metric.name, _number(metric.value), interval, f"{metric.rows:,}"


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.4g}"
