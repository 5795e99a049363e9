"""`headrace retrain`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command
from headrace.cli.error_report import EXIT_REFUSED, printable

if TYPE_CHECKING:
    from headrace.lifecycle.retraining.journal import Event, Journal, Run

_COLUMNS = ("run", "began", "because", "outcome", "what came of it")


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "retrain", changes=True)(retrain)


async def retrain(
    cli: Cli,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="The retraining file, YAML.")
    ],
    now: Annotated[
        bool,
        typer.Option("--now", help="Run at once, or go on with the run that was cut, and end."),
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Show the runs so far, and end.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Read the file, say what it does, and end.")
    ] = False,
    state: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="The folder of the journal and of runs. Default: .retrain-MODEL beside the file.",
            show_default=False,
        ),
    ] = None,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over", help="Run though another run of the model seems to be under way."
        ),
    ] = False,
) -> None:
    """Train a model anew when it is time: train, push, evaluate, gate, canary, promote or back.

    Without --now it follows the triggers of the file, until Ctrl-C. Each step is noted before the next:
    what was cut goes on where it was. One run at a time is under way for a model. With --now it ends with
    status 1 where the new version was not promoted.
    """
    from headrace.lifecycle.retraining.folder_lock import held
    from headrace.lifecycle.retraining.following import Follower
    from headrace.lifecycle.retraining.journal import Journal, Outcome
    from headrace.lifecycle.retraining.plan import read_plan
    from headrace.lifecycle.retraining.running import Retraining

    plan = read_plan(file)
    if check:
        cli.show(plan, lambda: _checked(file, plan.model))
        return
    folder = state or file.parent / f".retrain-{plan.model}"
    if status:
        cli.show({"runs": _runs(Journal(folder))}, lambda: _status(Journal(folder)))
        return
    with held(folder):
        async with cli.client() as client:
            report = _silent if cli.as_json else _report
            work = Retraining(
                client, plan, file.resolve().parent, Journal(folder), report, take_over=take_over
            )
            if not now:
                await Follower(work, _warn).follow()
                return
            run = await work.run("asked for")
    cli.show(_run(run), lambda: _ended(run))
    if run.ended is None or run.ended.outcome is not Outcome.PROMOTED:
        raise typer.Exit(EXIT_REFUSED)


def _checked(file: Path, model: str) -> str:
    return f"{file} is right: it retrains {model}"


def _silent(_: Event) -> None:
    pass


def _report(event: Event) -> None:
    """A line for each event, as it happens."""
    if event.because:
        print(f"{output.moment(event.at)}  run {event.run}: {printable(event.because)}", flush=True)
    elif event.step is not None:
        said = f": {printable(event.said)}" if event.said else ""
        word = "done" if event.done else "begins"
        print(f"{output.moment(event.at)}  {event.step:<9} {word}{said}", flush=True)


def _warn(text: str) -> None:
    print(printable(text), file=sys.stderr, flush=True)


def _ended(run: Run) -> str:
    ended = run.ended
    return "" if ended is None else f"{ended.outcome}: {printable(ended.said)}"


def _runs(journal: Journal) -> list[dict[str, object]]:
    return [_run(run) for run in journal.runs.values()]


def _run(run: Run) -> dict[str, object]:
    ended = run.ended
    return {
        "run": run.id,
        "began_at": run.began_at,
        "because": run.because,
        "outcome": str(ended.outcome) if ended else "",
        "said": ended.said if ended else "",
        "steps": {str(step): event.said for step, event in run.done.items()},
        "facts": dict(run.facts),
    }


def _status(journal: Journal) -> list[object]:
    rows = [
        (
            run.id,
            output.moment(run.began_at),
            printable(run.because),
            str(run.ended.outcome)
            if run.ended
            else f"at {run.begun.step if run.begun else 'its beginning'}",
            printable(run.ended.said if run.ended else ""),
        )
        for run in journal.runs.values()
    ]
    return [output.table(_COLUMNS, rows)]
