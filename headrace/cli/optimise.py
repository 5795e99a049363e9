"""`headrace optimise`."""

from __future__ import annotations

import asyncio
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command
from headrace.cli.error_report import EXIT_REFUSED
from headrace.cli.evaluation_options import Classes, GroupBy, Positive
from headrace.cli.named_versions import OfVersion, VersionName, named
from headrace.cli.progress_bars import progress_bars
from headrace.cli.sigterm import ended_by_sigterm
from headrace.cli.table_options import listed

if TYPE_CHECKING:
    from headrace.client import AsyncClient
    from headrace.lifecycle.optimisation import Optimisation, Wishes

_METHODS = (
    "simplify, prune, prune-weights, dynamic-int8, static-int8, int4, fp16, chains as "
    "prune+static-int8, or auto; several times."
)
_GOALS = "What for: size, latency, throughput or energy."
_METRICS = (
    "Of the target, as evaluate names it: f1_macro, roc_auc, log_loss, rmse ...; recall{region=eu} is "
    "of a slice. Without one: the main one of the task."
)


MethodNames = Annotated[
    list[str] | None, typer.Option("--method", help=_METHODS, show_default="auto")
]
Data = Annotated[
    Path,
    typer.Option(
        "--data", help="Rows to make and to judge candidates by: .csv, .jsonl, .npz, .parquet."
    ),
]
Target = Annotated[
    str, typer.Option(help="The column with the truth; without one, the version's answers are it.")
]
MetricOption = Annotated[str, typer.Option(help=_METRICS)]
TaskOption = Annotated[
    str, typer.Option("--task", help="Of the target, as evaluate has it; found from its values.")
]
Answer = Annotated[
    str, typer.Option("--output", help="Which output is the answer, where there are several.")
]
MaxLoss = Annotated[
    float,
    typer.Option(
        min=0,
        help="What may be lost of the metric (or: rows with another class; or the mean difference "
        "beside the spread of values).",
    ),
]
MaxDifference = Annotated[
    float | None,
    typer.Option("--max-output-difference", min=0, help="How far any value may be off."),
]
Sure = Annotated[
    bool, typer.Option("--sure", help="The whole 95 % interval of the loss has to be within.")
]
GoalOption = Annotated[str, typer.Option(help=_GOALS)]
KeepBatching = Annotated[
    bool | None,
    typer.Option(
        "--keep-batching/--lose-batching",
        help="Leave out, or take, what cannot share runs where the version does. [default: leave out "
        "what auto tries, take what --method names]",
        show_default=False,
    ),
]
Seconds = Annotated[
    float, typer.Option(min=1, help="So long candidates are looked for; measuring comes on top.")
]
MeasureSeconds = Annotated[
    float, typer.Option(min=0, help="So long all of them take turns; 0: 2 s for each.")
]
Limit = Annotated[int, typer.Option(min=1, help="Only the first rows of --data.")]
Local = Annotated[
    bool,
    typer.Option(
        "--local/--through-server",
        help="Measure in processes of this machine; or as versions of a model that is removed afterwards.",
    ),
]
Keep = Annotated[
    Path | None, typer.Option("--keep-candidates", help="A new folder that keeps all candidates.")
]
Push = Annotated[
    bool, typer.Option("--push/--dry-run", help="Push the chosen one as a new version, or do not.")
]
Alias = Annotated[str, typer.Option(help="An alias to point at the new version.")]
Report = Annotated[
    Path | None, typer.Option(help="A folder for the report: report.html, trade.png, report.json.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "optimise", changes=True)(optimise)


async def optimise(
    cli: Cli,
    name: VersionName,
    data: Data,
    method: MethodNames = None,
    version: OfVersion = "",
    target: Target = "",
    metric: MetricOption = "",
    task: TaskOption = "",
    answer: Answer = "",
    classes: Classes = "",
    positive: Positive = "",
    group_by: GroupBy = "",
    max_loss: MaxLoss = 0.005,
    max_output_difference: MaxDifference = None,
    sure: Sure = False,
    goal: GoalOption = "size",
    keep_batching: KeepBatching = None,
    seconds: Seconds = 120.0,
    measure_seconds: MeasureSeconds = 0.0,
    limit: Limit = 2000,
    local: Local = False,
    keep_candidates: Keep = None,
    push: Push = True,
    alias: Alias = "",
    report: Report = None,
) -> None:
    """Make a version smaller or faster, within a loss that you allow.

    Candidates are made of the version's own files, compared with it row by row, measured beside it in one
    run, and the best one by the goal becomes a new version. Where none is within the loss and better, the
    version is kept as it is, and the exit code is 1.
    """
    from headrace.lifecycle.evaluation import Task
    from headrace.lifecycle.optimisation import Allowed, Goal, Wishes

    wishes = Wishes(
        methods=method or ["auto"],
        target=target,
        metric=metric,
        task=Task(_one_of(task, Task, "--task")) if task else None,
        output=answer,
        classes=listed(classes),
        positive=positive,
        group_by=group_by,
        allowed=Allowed(max_loss, max_output_difference, sure),
        goal=Goal(_one_of(goal, Goal, "--goal")),
        keep_batching=keep_batching,
        seconds=seconds,
        measure_seconds=measure_seconds,
        most_rows=limit,
        through_server=not local,
        keep_candidates=keep_candidates,
        push=push,
        alias=alias,
        command=_command_line(),
    )
    async with cli.client() as client:
        found = await _optimised(cli, client, name, version, data, wishes)
    if report is not None:
        from headrace.lifecycle.optimisation import write_report

        await asyncio.to_thread(write_report, found, report)
    cli.show(found.document(), lambda: _views(found, report))
    if found.chosen is None:
        raise typer.Exit(EXIT_REFUSED)


async def _optimised(
    cli: Cli,
    client: AsyncClient,
    name: str,
    version: str,
    data: Path,
    wishes: Wishes,
) -> Optimisation:
    from headrace.lifecycle.optimisation import optimise

    model, number = await named(client, name, version)
    with progress_bars(cli) as bars, ended_by_sigterm():
        return await optimise(client, model, number, data, wishes, told=bars)


def _one_of(text: str, words: type, option: str) -> str:
    allowed = [str(each) for each in words]  # type: ignore[attr-defined]  # enums are iterable
    if text not in allowed:
        raise typer.BadParameter(f"{option} is one of {', '.join(allowed)}, not {text!r}")
    return text


def _command_line() -> str:
    return shlex.join(["headrace", *sys.argv[1:]])[:2000]


def _views(found: Optimisation, report: Path | None) -> list[object]:
    from headrace.lifecycle.optimisation import remarks, rows_of_table

    headings, rows = rows_of_table(found)
    lines = [output.table(headings, rows), "", *remarks(found), "", found.verdict()]
    if report is not None:
        lines.append(f"the report is in {report}")
    return lines
