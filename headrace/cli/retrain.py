"""`headrace retrain`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command
from headrace.cli.error_report import EXIT_REFUSED, printable
from headrace.cli.sigterm import ended_by_sigterm

if TYPE_CHECKING:
    from headrace.lifecycle.retraining.journal import Event, Journal, Run
    from headrace.lifecycle.retraining.plan import Plan
    from headrace.lifecycle.retraining.running import Retraining

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
    abandon: Annotated[
        bool,
        typer.Option("--abandon", help="End the run that was cut, take its trial back, and end."),
    ] = False,
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
    from headrace.lifecycle.retraining.journal import Journal
    from headrace.lifecycle.retraining.plan import read_plan

    plan = read_plan(file)
    folder = (state or file.parent / f".retrain-{plan.model}").resolve()
    if check:
        cli.show(plan, lambda: _checked(file, plan.model))
    elif status:
        journal = Journal(folder)
        cli.show({"runs": _runs(journal)}, lambda: _status(journal))
    elif abandon or now:
        await _once(cli, plan, file, folder, abandon=abandon, take_over=take_over)
    else:
        await _follow(cli, plan, file, folder, take_over=take_over)


async def _once(
    cli: Cli, plan: Plan, file: Path, folder: Path, *, abandon: bool, take_over: bool
) -> None:
    from headrace.lifecycle.retraining.journal import Outcome

    async with _work(cli, plan, file, folder, take_over=take_over, is_following=False) as work:
        run = await (work.abandon() if abandon else work.run("asked for"))
    if run is None:
        cli.show({}, lambda: "no run was cut: there is nothing to abandon")
        return
    cli.show(_run(run), lambda: _ended(run))
    if not abandon and (run.ended is None or run.ended.outcome is not Outcome.PROMOTED):
        raise typer.Exit(EXIT_REFUSED)


async def _follow(cli: Cli, plan: Plan, file: Path, folder: Path, *, take_over: bool) -> None:
    from headrace.lifecycle.retraining.following import Follower

    async with _work(cli, plan, file, folder, take_over=take_over, is_following=True) as work:
        await Follower(work, _warn).follow()


@asynccontextmanager
async def _work(
    cli: Cli, plan: Plan, file: Path, folder: Path, *, take_over: bool, is_following: bool
) -> AsyncIterator[Retraining]:
    """The retraining with its folder held; what Ctrl-C or SIGTERM cuts is told."""
    from headrace.lifecycle.retraining.folder_lock import held
    from headrace.lifecycle.retraining.journal import Journal
    from headrace.lifecycle.retraining.running import Retraining

    place = await asyncio.to_thread(lambda: file.resolve().parent)
    report: Callable[[Event], None] = _report
    if cli.as_json:
        report = _report_json if is_following else _silent
    with held(folder), ended_by_sigterm():
        async with cli.client() as client:
            journal = Journal(folder)
            work = Retraining(client, plan, place, journal, report, _warn)
            work.file, work.take_over = file.name, take_over
            settings = client.settings
            work.environment = {
                "HEADRACE_REGISTRY": settings.registry,
                "HEADRACE_INFERENCE": settings.inference,
                "HEADRACE_MONITOR": settings.monitor,
            }
            try:
                yield work
            except asyncio.CancelledError:
                _warn(_interrupted(journal, file))
                raise


def _interrupted(journal: Journal, file: Path) -> str:
    """Say what an interruption left: which step is not done, and whether a trial goes on."""
    run = journal.unfinished
    if run is None:
        return "interrupted; no run was under way"
    on_trial = "trial_began" in run.facts
    trial = f"; version {run.facts['version']} stays on trial until then" if on_trial else ""
    step = run.begun.step if run.begun and run.begun.step else run.next_step
    return (
        f"interrupted in step {step} of run {run.id}: `headrace retrain {file} --now` goes on there, "
        f"--abandon ends it{trial}"
    )


def _checked(file: Path, model: str) -> str:
    return f"{file} is right: it retrains {model}"


def _report_json(event: Event) -> None:
    """The same as a line of JSON."""
    import msgspec

    print(msgspec.json.encode(event).decode(), flush=True)


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
