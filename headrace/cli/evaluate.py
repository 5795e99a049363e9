"""`headrace evaluate`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable
from headrace.cli.progress_bars import progress_bars

if TYPE_CHECKING:
    from headrace.client import AsyncClient
    from headrace.lifecycle.evaluation import Evaluation, Judgement, Question, Rules
    from headrace.state.annotation_records import Metric

_CLASSES_SHOWN = 12
_TASKS = "binary, multiclass, multilabel, regression, ranking, generation"
_PANEL = "Rules"
_COLUMNS = "Columns and outputs"

Targets = Annotated[
    list[str],
    typer.Option(
        "--target",
        metavar="COLUMN",
        help="The column of the truth; several for labels of which any number may hold.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "evaluate", changes=True)(evaluate)


async def evaluate(
    cli: Cli,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME[@ALIAS|/VERSION]",
            help="Whose answers: of the route's stable version, an alias's, or a version's.",
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            exists=True, help="Rows: .csv, .jsonl, .parquet, .npz, or a folder of files by class."
        ),
    ],
    target: Targets,
    input: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=COLUMN,COLUMN",
            help="Which columns an input is made of, where their names do not say it.",
            rich_help_panel=_COLUMNS,
        ),
    ] = None,
    output_name: Annotated[
        str,
        typer.Option(
            "--output",
            metavar="NAME",
            help="The output that answers, or `y[2]` for a column of one.",
            rich_help_panel=_COLUMNS,
        ),
    ] = "",
    ignore: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A column that is no input.", rich_help_panel=_COLUMNS),
    ] = None,
    classes: Annotated[
        str,
        typer.Option(
            metavar="A,B,C",
            help="What the output's columns are called, where no labels.txt says it.",
            rich_help_panel=_COLUMNS,
        ),
    ] = "",
    positive: Annotated[
        str,
        typer.Option(
            metavar="CLASS",
            help="Of two classes the one that is looked for; the second.",
            rich_help_panel=_COLUMNS,
        ),
    ] = "",
    task: Annotated[
        str | None, typer.Option(help=f"One of {_TASKS}; found from target and outputs.")
    ] = None,
    slice_by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Measure by the values of this column, too."),
    ] = None,
    group_by: Annotated[
        str,
        typer.Option(
            metavar="COLUMN",
            help="Rows of one value belong together: they are ranked, or resampled, together.",
        ),
    ] = "",
    at: Annotated[int, typer.Option("--at", min=1, help="Of rankings: look at the first.")] = 10,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many rows, drawn by --seed.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of resamples, and of --limit.")] = 0,
    resamples: Annotated[int, typer.Option(min=1, max=100_000, help="For intervals.")] = 1000,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC",
            help="Print and compare this one alone (again for more).",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RULE",
            help="End with status 1 unless it holds: 'accuracy >= 0.95', 'f1.fraud.lower > 0.8'.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    no_worse_than: Annotated[
        str,
        typer.Option(
            metavar="stable|ALIAS|VERSION",
            help="End with status 1 if it is worse than this version on the same rows.",
            rich_help_panel=_PANEL,
        ),
    ] = "",
    margin: Annotated[
        float,
        typer.Option(min=0, help="By so much it may be worse.", rich_help_panel=_PANEL),
    ] = 0.0,
    report: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write the report to this file, as HTML."),
    ] = None,
    store: Annotated[
        bool, typer.Option(help="Keep metrics and report with the version in the registry.")
    ] = True,
) -> None:
    """Measure how good a served version's answers are, with intervals, by slices, against rules.

    The task is found from the target and the outputs. Metrics, report and plots are kept with the version.
    Exit status 1 where a rule does not hold.
    """
    from headrace.lifecycle.evaluation import Rules, check_rules

    if margin and not no_worse_than:
        raise typer.BadParameter("--margin takes --no-worse-than")
    rules = Rules(tuple(require or ()), no_worse_than, margin, tuple(metric or ()))
    check_rules(rules)
    question = _question(
        target=tuple(target),
        inputs=_inputs(input or []),
        output=output_name,
        task=task,
        classes=tuple(filter(None, classes.split(","))),
        positive=positive,
        group_by=group_by,
        slice_by=tuple(slice_by or ()),
        ignored=tuple(ignore or ()),
        at=at,
        seed=seed,
        resamples=resamples,
    )
    async with cli.client() as client:
        found, judged = await _evaluated(cli, client, name, data, question, rules, limit)
        paths = await _kept(client, found, judged, report=report, store=store)
    shown = tuple(metric or ())
    document = {
        **found.document(),
        "passed": judged.passed,
        "rules": list(judged.verdict.results),
        "differences": list(judged.differences),
        "stored": list(paths),
    }
    cli.show(document, lambda: list(_lines(found, judged, paths, shown)))
    if not judged.passed:
        raise typer.Exit(1)


def _question(task: str | None, **given: Any) -> Question:
    from headrace.lifecycle.evaluation import Question, Task

    if task is not None and task not in list(Task):
        raise typer.BadParameter(f"{task!r} is no task: it is one of {_TASKS}")
    return Question(task=None if task is None else Task(task), **given)


def _inputs(texts: Sequence[str]) -> dict[str, tuple[str, ...]] | None:
    chosen = {}
    for text in texts:
        name, found, columns = text.partition("=")
        if not (found and name and columns):
            raise typer.BadParameter(f"{text!r} is not INPUT=COLUMN,COLUMN")
        chosen[name] = tuple(columns.split(","))
    return chosen or None


async def _evaluated(
    cli: Cli,
    client: AsyncClient,
    name: str,
    data: Path,
    question: Question,
    rules: Rules,
    limit: int | None,
) -> tuple[Evaluation, Judgement]:
    from headrace import errors
    from headrace.lifecycle.evaluation import (
        evaluate_version,
        judge_evaluation,
        named_version,
        read_data,
    )
    from headrace.lifecycle.evaluation.evaluating import NOT_LOADED

    version = await named_version(client, name)
    read = read_data(data, limit=limit, seed=question.seed)
    total, done = len(read.rows), [0, 0]
    with progress_bars(cli) as bars:

        def counted(place: int, phase: str) -> Any:
            def count(rows: int) -> None:
                done[place] += rows
                bars(phase, done[place], total, f"{done[place]:,} of {total:,} rows")

            return count

        try:
            first = counted(0, f"version {version.number}")
            found = await evaluate_version(client, version, read, question, first)
            second = counted(1, rules.no_worse_than)
            judged = await judge_evaluation(client, found, read, question, rules, second)
        except (errors.Unavailable, errors.NotFound) as error:
            if error.reason not in ("SERVICE_UNREACHABLE", "MODEL_NOT_FOUND", "ALIAS_NOT_FOUND"):
                error.add_note(NOT_LOADED)
            raise
    return found, judged


async def _kept(
    client: AsyncClient,
    found: Evaluation,
    judged: Judgement,
    *,
    report: Path | None,
    store: bool,
) -> tuple[str, ...]:
    """Write the report and store what was asked for; gives the paths of the attachments."""
    if not store and report is None:
        return ()
    from headrace.lifecycle.evaluation import report_files
    from headrace.lifecycle.evaluation import store as stored

    said = (*judged.verdict.lines(), *map(str, judged.differences))
    files = report_files(found, said)
    if report is not None:
        _write(report, files[0].data)
    return await stored(client, found, files) if store else ()


def _write(path: Path, data: bytes) -> None:
    """Write beside, then rename: what is interrupted leaves no half report."""
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as error:
        raise typer.BadParameter(f"cannot write {path}: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


def _lines(
    found: Evaluation, judged: Judgement, paths: Sequence[str], shown: Sequence[str]
) -> Iterator[Any]:
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
