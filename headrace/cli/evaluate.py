"""`headrace evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from headrace.cli import evaluation_options as options
from headrace.cli.command import Cli, command
from headrace.cli.error_report import EXIT_REFUSED
from headrace.cli.named_versions import OfVersion, VersionName, named
from headrace.cli.progress_bars import progress_bars
from headrace.cli.report_files import write_report
from headrace.cli.shown_evaluations import evaluation_lines
from headrace.cli.table_options import Ignored, InputColumns, input_columns, listed

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Version
    from headrace.lifecycle.evaluation import Evaluation, Judgement, Question, Rules


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "evaluate", changes=True)(evaluate)


async def evaluate(
    cli: Cli,
    name: VersionName,
    data: options.Data,
    target: options.Targets,
    version: OfVersion = "",
    input_column: InputColumns = None,
    output_name: options.Output = "",
    ignore: Ignored = None,
    classes: options.Classes = "",
    positive: options.Positive = "",
    task: options.TaskName = None,
    slice_by: options.SliceBy = None,
    group_by: options.GroupBy = "",
    at: options.At = 10,
    limit: options.Limit = None,
    seed: options.Seed = 0,
    resamples: options.Resamples = 1000,
    metric: options.Metrics = None,
    require: options.Require = None,
    no_worse_than: options.NoWorseThan = "",
    margin: options.Margin = 0.0,
    report: options.Report = None,
    store: options.Store = True,
) -> None:
    """Measure how good a served version's answers are, with intervals, by slices, against rules.

    The task is found from the target and the outputs. Metrics, report and plots are kept with the version.
    Exit status 1 where a rule does not hold.
    """
    from headrace.lifecycle.evaluation import Rules, check_rules
    from headrace.lifecycle.extras import from_extra

    if margin and not no_worse_than:
        raise typer.BadParameter("--margin takes --no-worse-than")
    rules = Rules(tuple(require or ()), no_worse_than, margin, tuple(metric or ()))
    check_rules(rules)
    question = _question(
        target=tuple(target),
        inputs=input_columns(input_column),
        output=output_name,
        task=task,
        classes=listed(classes),
        positive=positive,
        group_by=group_by,
        slice_by=tuple(slice_by or ()),
        ignored=tuple(ignore or ()),
        at=at,
        seed=seed,
        resamples=resamples,
    )
    if store or report is not None:  # what is missing is told before anything is asked
        from_extra("matplotlib", "a report")
    async with cli.client() as client:
        model, number = await named(client, name, version)
        pushed = await client.version(model, number)
        found, judged = await _evaluated(cli, client, pushed, data, question, rules, limit)
        paths = await _kept(client, found, judged, report=report, store=store)
    shown = tuple(metric or ())
    document = {
        **found.document(),
        "passed": judged.passed,
        "rules": list(judged.verdict.results),
        "differences": list(judged.differences),
        "stored": list(paths),
    }
    cli.show(document, lambda: list(evaluation_lines(found, judged, paths, shown)))
    if not judged.passed:
        raise typer.Exit(EXIT_REFUSED)


def _question(task: str | None, **given: Any) -> Question:
    from headrace.lifecycle.evaluation import Question, Task

    if task is not None and task not in list(Task):
        raise typer.BadParameter(f"{task!r} is no task: it is one of {options.TASKS}")
    return Question(task=None if task is None else Task(task), **given)


async def _evaluated(
    cli: Cli,
    client: AsyncClient,
    version: Version,
    data: Path,
    question: Question,
    rules: Rules,
    limit: int | None,
) -> tuple[Evaluation, Judgement]:
    from headrace import errors
    from headrace.lifecycle.evaluation import (
        evaluate_version,
        judge_evaluation,
        read_data,
    )
    from headrace.lifecycle.evaluation.evaluating import NOT_LOADED

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
        write_report(report, files[0].data)
    return await stored(client, found, files) if store else ()
