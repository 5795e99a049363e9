"""`headrace quality`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command
from headrace.cli.completion import model_names
from headrace.cli.drift import model_and_version
from headrace.cli.durations import seconds_in
from headrace.cli.error_report import printable
from headrace.cli.unknown_models import refuse_unknown

if TYPE_CHECKING:
    from headrace.client import QualityAnswer, QualityFigure, VersionQuality

COLUMNS = ("figure", "of", "value>", "95 % interval>", "rows>", "how")
CLASSES_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "quality")(quality)


async def quality(
    cli: Cli,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME[/VERSION]",
            help="The model; one version of it.",
            autocompletion=model_names,
        ),
    ],
    window: Annotated[str, typer.Option(help="How far back: 7d, 12h.")] = "1d",
    step: Annotated[
        str | None, typer.Option(help="Answer each stretch so long apart: 1h.", show_default=False)
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            "--slice", help="Requests of a slice: 'header x-region=eu'. [default: all together]"
        ),
    ] = None,
    slices: Annotated[bool, typer.Option("--slices", help="Every slice as well.")] = False,
    confusion: Annotated[
        bool, typer.Option("--confusion", help="Show which classes were taken for which.")
    ] = False,
) -> None:
    """Show how good a model's answers were, by the labels that were told, and what is estimated without.

    The time is that of the answers. Estimates follow from how sure the version was of its answers, as
    labels of before taught; they cannot see that a class changed its meaning.
    """
    model, version = model_and_version(name)
    async with cli.client() as client:
        found = await client.quality(
            model,
            version,
            slice_name=None if slices else part or "",
            window_seconds=seconds_in(window, "--window") or 0.0,
            step_seconds=seconds_in(step, "--step"),
        )
        if not found.qualities:
            await refuse_unknown(client, model, version)
    of = f"{name}, {part}," if part else name
    cli.show(found, lambda: list(_views(found, of, confusion=confusion)))


def _views(found: QualityAnswer, name: str, *, confusion: bool) -> Iterator[Any]:
    if not found.qualities:
        yield f"No answer of {name} was kept in this time: requests need an id, and one in the sample."
    for place, each in enumerate(found.qualities):
        if place:
            yield ""
        yield from _view(each, confusion=confusion)
    if found.sampled_share:
        yield f"({found.sampled_share:.0%} of the requests with an id are sampled)"
    if found.dropped_predictions:
        yield f"({found.dropped_predictions:,} answers were left out: more than replicas may tell)"


def _view(quality: VersionQuality, *, confusion: bool) -> Iterator[Any]:
    yield _heading(quality)
    rows = [_row(each) for each in _shown(quality)]
    if rows:
        yield output.table(COLUMNS, rows)
    if confusion and quality.confusion:
        yield output.table(
            ("answered", "true", "rows>"),
            [
                (printable(each.predicted), printable(each.truth), each.count)
                for each in quality.confusion
            ],
        )
    yield from (f"note: {printable(note)}" for note in quality.notes)


def _shown(quality: VersionQuality) -> Iterator[QualityFigure]:
    """The figures of all, then those of the first classes; an estimate below what was measured.

    Means weighted by classes are in the JSON.
    """
    classes = sorted({each.of for each in (*quality.figures, *quality.estimates) if each.of})
    shown = {"", *classes[:CLASSES_SHOWN]}
    both = [
        each
        for each in (*quality.figures, *quality.estimates)
        if each.of in shown and not each.name.endswith("_weighted")
    ]
    order = {name: place for place, name in enumerate(dict.fromkeys(each.name for each in both))}
    yield from sorted(both, key=lambda each: (each.of, order[each.name], each.estimated))


def _heading(quality: VersionQuality) -> str:
    part = f", {quality.slice}" if quality.slice else ""
    share = quality.labelled / quality.predictions if quality.predictions else 0.0
    delay = f", told {output.duration(quality.delay_seconds)} later" if quality.labelled else ""
    return (
        f"{quality.model} version {quality.version}{printable(part)}, "
        f"{output.moment(quality.start_at)} to {output.moment(quality.end_at)}: "
        f"{quality.predictions:,} answers, {quality.labelled:,} labelled ({share:.0%}){delay}"
    )


def _row(figure: QualityFigure) -> tuple[object, ...]:
    return (
        figure.name,
        printable(figure.of),
        _number(figure.value),
        f"{_number(figure.low)} to {_number(figure.high)}",
        f"{figure.count:,}",
        "estimated" if figure.estimated else "measured",
    )


def _number(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.4g}"
