"""`headrace batch`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command
from headrace.cli.error_report import EXIT_REFUSED, printable
from headrace.cli.images import PREPROCESS_HELP
from headrace.cli.named_versions import OfVersion, VersionName, named
from headrace.cli.progress_bars import Bars, progress_bars
from headrace.cli.table_options import InputColumns, input_columns, listed
from headrace.images import Preprocess

if TYPE_CHECKING:
    from headrace.lifecycle.batches import BatchProgress, BatchReport

NICE = 10
"""Of the processes of a machine that want its cores, those of batches get a tenth of the others' share."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "batch")(batch)


class OnError(StrEnum):
    """What becomes of a row that the version refuses."""

    RECORD = "record"
    FAIL = "fail"


Input = Annotated[
    Path,
    typer.Option(
        exists=True,
        help="The rows: a .parquet, .csv, .jsonl or .npz, or a folder with a file for each row.",
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        help="What is written: a .parquet, .csv or .jsonl; without an ending a folder of .parquet files."
    ),
]
Keep = Annotated[
    str, typer.Option(metavar="COLUMN,COLUMN", help="Columns to write beside the answers.")
]
Outputs = Annotated[
    str, typer.Option(metavar="NAME,NAME", help="The outputs to write; without any, all.")
]


async def batch(
    cli: Cli,
    name: VersionName,
    input: Input,
    output: Output,
    version: OfVersion = "",
    input_column: InputColumns = None,
    keep: Keep = "",
    outputs: Outputs = "",
    rows_per_part: Annotated[
        int, typer.Option(min=1, help="Rows that are finished together, and never asked again.")
    ] = 4096,
    in_flight: Annotated[int, typer.Option(min=1, help="Requests under way at once.")] = 8,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first rows.")] = None,
    preprocess: Annotated[Preprocess, typer.Option(help=PREPROCESS_HELP)] = Preprocess.AUTO,
    on_error: Annotated[
        OnError,
        typer.Option(
            help="What becomes of a row that is refused: record it in the column _error, or fail."
        ),
    ] = OnError.RECORD,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart/--resume",
            help="Throw away what a run before this one finished, or go on with it.",
        ),
    ] = False,
    local_session: Annotated[
        bool,
        typer.Option(
            "--local-session", help="Answer by ONNX Runtime in this process, by no replica."
        ),
    ] = False,
    ray: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS|local",
            help="Have actors of this Ray answer, by ONNX Runtime in each; local: one of this machine.",
        ),
    ] = "",
    through_replicas: Annotated[
        bool,
        typer.Option("--through-replicas", help="With --ray: have its actors ask the replicas."),
    ] = False,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="The most tokens of a generated answer.")
    ] = 256,
    temperature: Annotated[
        float, typer.Option(min=0, max=2, help="0 takes the most probable tokens.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of answers at other temperatures.")] = 0,
    system: Annotated[
        str, typer.Option(help="What generated answers are to be: the turn before each prompt.")
    ] = "",
    json_schema: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Generated answers are JSON that this schema allows."
        ),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Go on from prompts without the version's chat template.")
    ] = False,
    nice: Annotated[
        int,
        typer.Option(
            min=0,
            max=19,
            help="How far this process stands back for others of the machine: 0 not at all, 19 most.",
        ),
    ] = NICE,
) -> None:
    """Have a version answer all rows of a file or a folder, when no other requests wait.

    Rows keep their order. Whatever ends the command, the same command goes on where it was: no row is
    written twice and none is missing. Rows that the version refuses say why in the column _error, and make
    the exit status 1.
    """
    from headrace.lifecycle.batches import TextOptions, run_batch

    if local_session and (ray or through_replicas):
        raise typer.BadParameter("--local-session goes with neither --ray nor --through-replicas")
    _stand_back(nice)
    through = "sessions" if local_session or (ray and not through_replicas) else "replicas"
    async with cli.client() as client:
        model, number = await named(client, name, version)
        with ExitStack() as drawing:
            bars = drawing.enter_context(progress_bars(cli))

            def finished(report: BatchReport) -> None:
                drawing.close()
                cli.show(report, lambda: _lines(report))

            try:
                report = await run_batch(
                    client,
                    model,
                    input,
                    output,
                    version=number,
                    inputs=input_columns(input_column),
                    keep=listed(keep),
                    outputs=listed(outputs),
                    rows_per_part=rows_per_part,
                    in_flight=in_flight,
                    limit=limit,
                    preprocess=preprocess,
                    on_error=on_error,
                    restart=restart,
                    through=through,
                    ray=ray,
                    texts=TextOptions(
                        max_tokens,
                        temperature,
                        seed,
                        system,
                        json_schema.read_text("utf-8") if json_schema else "",
                        raw,
                    ),
                    on_progress=_teller(bars, model),
                    on_finished=finished,
                )
            except asyncio.CancelledError:
                print(_interrupted(output), file=sys.stderr)
                raise
    if report.failed:
        raise typer.Exit(EXIT_REFUSED)


def _stand_back(nice: int) -> None:
    """Let replicas and whoever else is on this machine go first; Windows knows no such thing."""
    if hasattr(os, "nice"):
        os.nice(nice)


def _teller(bars: Bars, model: str) -> Callable[[BatchProgress], None]:
    def tell(progress: BatchProgress) -> None:
        whole = f" of {progress.total:,}" if progress.total is not None else ""
        refused = f", {progress.failed:,} refused" if progress.failed else ""
        amount = f"{progress.rows:,}{whole} rows{refused}"
        bars(f"batch {model}", progress.rows, progress.total or progress.rows + 1, amount)

    return tell


def _interrupted(out: Path) -> str:
    return (
        f"interrupted; what is finished is kept in {out.name}.batch, and the same command goes on"
    )


def _lines(report: BatchReport) -> list[str]:
    new = report.rows - report.rows_found
    pace = f", {output.number(new / report.seconds)} rows/s" if report.seconds and new else ""
    before = f" ({report.rows_found:,} of them were there)" if report.rows_found else ""
    took = f"{output.duration(report.seconds)}{pace}"
    of = f"version {report.version} of {report.model}"
    lines = [f"{report.rows:,} rows{before} answered by {of} in {took}: {report.output}"]
    if report.failed:
        lines.append(f"{report.failed:,} rows were refused; the column _error says why:")
        lines += [
            printable(f"  row {one.place + 1}: {one.reason}: {one.message}")
            for one in report.refusals
        ]
    return lines
