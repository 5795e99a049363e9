"""`headrace replay`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace import errors
from headrace.cli import output
from headrace.cli.command import Cli, command
from headrace.cli.completion import model_names
from headrace.cli.error_report import printable

if TYPE_CHECKING:
    from headrace.client import AsyncClient
    from headrace.client.arrays import Array
    from headrace.payload_log.records import PayloadRecord
    from headrace.payload_log.replay import Replay

AT_A_TIME = 8


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "replay")(replay)


async def replay(
    cli: Cli,
    log: Annotated[
        str,
        typer.Argument(
            metavar="LOG", help="A folder, a file, or the URL of a store: s3://bucket/prefix."
        ),
    ],
    version: Annotated[
        str, typer.Option(help="The version that is asked now: a number or an alias.")
    ],
    model: Annotated[
        str,
        typer.Option(
            help="Requests of this model. [default: the only one in the log]",
            autocompletion=model_names,
            show_default=False,
        ),
    ] = "",
    against: Annotated[
        str,
        typer.Option(
            help="Another version that is asked, too. [default: what was answered, in the log]",
            show_default=False,
        ),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="The first so many records.")] = 1000,
    relative: Annotated[
        float, typer.Option(min=0, help="By how much of it a number may differ.")
    ] = 1e-4,
    absolute: Annotated[float, typer.Option(min=0, help="And by this much.")] = 1e-6,
    show: Annotated[int, typer.Option(min=0, help="So many requests that differ.")] = 10,
    min_agreement: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="End with status 1 where a smaller share agrees."),
    ] = None,
) -> None:
    """Send the requests of a payload log to a version, and report where its answers differ.

    Records that are masked or not whole are left out, and counted. Each request runs the model, and
    counts as traffic of the version. The version has to be loaded: `headrace alias` has any loaded.
    """
    from headrace.payload_log.comparison import Tolerance
    from headrace.payload_log.replay import Replay

    records = await asyncio.to_thread(_records, log, model, limit)
    name = records[0].model
    found = Replay(Tolerance(relative, absolute))
    async with cli.client() as client:
        await _Work(client, found, name, version, against).all(records)
    summary = _summary(found, name, version, against, show)
    cli.show(summary, lambda: list(_views(found, name, version, against, show)))
    share = found.agreeing_share
    if min_agreement is not None and (share is None or share < min_agreement):
        raise typer.Exit(1)


def _records(log: str, model: str, limit: int) -> list[PayloadRecord]:
    """The first records of a model. Raises HeadraceError where there are none, or of several models."""
    from itertools import islice

    from headrace.payload_log.formats import records_in
    from headrace.payload_log.places import open_place

    place = open_place(log)
    try:
        files = place.files()
    except OSError as error:
        raise _unreadable(f"{log} cannot be read ({error})") from error
    every = (record for file in files for record in records_in(file.name, place.read(file.name)))
    found = list(islice((each for each in every if not model or each.model == model), limit))
    if not found:
        raise _unreadable(f"{log} has no records{f' of {model}' if model else ''}")
    names = sorted({record.model for record in found})
    if len(names) > 1:
        raise _unreadable(f"{log} has records of several models: name one by --model, of {names}")
    return found


def _unreadable(what: str) -> errors.InvalidArgument:
    return errors.InvalidArgument("PAYLOAD_LOG_UNREADABLE", what)


class _Work:
    """Has the requests answered anew."""

    def __init__(
        self, client: AsyncClient, found: Replay, model: str, version: str, against: str
    ) -> None:
        self._client, self._found, self._model = client, found, model
        self._version, self._against = version, against
        self._places = asyncio.Semaphore(AT_A_TIME)

    async def all(self, records: Sequence[PayloadRecord]) -> None:
        """Ask for all of them."""
        async with asyncio.TaskGroup() as group:
            for record in records:
                group.create_task(self._one(record))

    async def _one(self, record: PayloadRecord) -> None:
        from headrace.payload_log.replay import arrays_of, why_not

        problem = why_not(record, needs_outputs=not self._against)
        if problem:
            self._found.skipped[problem] += 1
            return
        async with self._places:
            try:
                inputs = arrays_of(record.inputs)
                before = (
                    await self._answer(inputs, self._against)
                    if self._against
                    else arrays_of(record.outputs)
                )
                after = await self._answer(inputs, self._version)
            except errors.HeadraceError as error:
                self._found.errors[error.reason] += 1
                return
        self._found.add(record, before, after)

    async def _answer(self, inputs: dict[str, Array], version: str) -> dict[str, Array]:
        answer = await self._client.infer(self._model, inputs, version=version)
        return dict(answer.outputs)


def _summary(found: Replay, model: str, version: str, against: str, show: int) -> dict[str, Any]:
    return {
        "model": model,
        "version": version,
        "against": against or "log",
        "replayed": found.replayed,
        "agreed": found.agreed,
        "agreeing_share": found.agreeing_share,
        "skipped": dict(found.skipped),
        "errors": dict(found.errors),
        "outputs": [asdict(each) for each in found.outputs.values()],
        "class_flips": [
            {**flip._asdict(), "rows": rows} for flip, rows in found.flips.most_common()
        ],
        "disagreements": [asdict(each) for each in found.disagreements[:show]],
    }


def _views(found: Replay, model: str, version: str, against: str, show: int) -> Iterator[Any]:
    other = f"version {against}" if against else "what was answered"
    share = found.agreeing_share
    agreeing = "" if share is None else f", {found.agreed:,} agree ({share:.2%})"
    yield f"{model} version {version} beside {other}: {found.replayed:,} requests{agreeing}"
    yield from (f"left out: {count:,}, {why}" for why, count in found.skipped.most_common())
    yield from (f"failed: {count:,} with {reason}" for reason, count in found.errors.most_common())
    if found.outputs:
        yield output.table(
            ("output", "requests>", "rows>", "largest difference>"),
            [
                (each.output, each.requests, each.rows, each.why or _number(each.largest))
                for each in found.outputs.values()
            ],
        )
    if found.flips:
        yield output.table(
            ("class of", "before", "after", "rows>"),
            [(*map(printable, flip), rows) for flip, rows in found.flips.most_common(20)],
        )
    for each in found.disagreements[:show]:
        yield f"{printable(each.request_id) or '(no id)'} at {each.time}"
        yield from (f"  {name} = {printable(text)}" for name, text in each.inputs.items())
        for name in each.outputs:
            before, after = each.before.get(name, "missing"), each.after.get(name, "missing")
            yield f"  {name}: {printable(before)} -> {printable(after)}"


def _number(value: float | None) -> str:
    return "texts" if value is None else f"{value:.6g}"
