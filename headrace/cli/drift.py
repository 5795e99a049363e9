"""`headrace drift`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.command import Cli, command
from headrace.cli.completion import model_names
from headrace.cli.unknown_models import refuse_unknown

if TYPE_CHECKING:
    from headrace.client import Distributions, Drift, FieldDrift, VersionDrift

COLUMNS = ("field", "state", "since", "psi>", "moved>", "rows>", "what changed")
STRETCHES = {"5m": 300.0, "1h": 3600.0, "1d": 86400.0}
SHOWN_AS_USUAL = 10
"""Of fields that are as they were, those nearest to drift."""
ROWS_SHOWN = 16
COARSE = 3
NAMED = 5
BAR = 24
"""Characters of the longest bar."""

_SOURCES = {
    "registered": "the reference in the registry",
    "first_rows": "its own first rows",
    "other_version": "the first rows of an older version, until its own suffice",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "drift")(drift)


async def drift(
    cli: Cli,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME[/VERSION]",
            help="The model; one version of it.",
            autocompletion=model_names,
        ),
    ],
    part: Annotated[
        str, typer.Option("--slice", help="Rows of a slice: 'header x-region=eu'.")
    ] = "",
    field: Annotated[str, typer.Option(help="This field, with both distributions.")] = "",
    stretch: Annotated[str, typer.Option(help="The newest rows of 5m, 1h or 1d.")] = "1h",
    everything: Annotated[bool, typer.Option("--all", help="All fields.")] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Learn what is usual anew, from the next rows.")
    ] = False,
) -> None:
    """Show which fields of a model's data are not as they were: in what, how much, and since when.

    Rows are compared with the version's reference, or where it has none, with its first rows. With --reset
    those are forgotten, for all slices or the one that is named; a version has to be named.
    """
    model, version = model_and_version(name)
    if stretch not in STRETCHES:
        raise typer.BadParameter(f"{stretch!r} is none of {', '.join(STRETCHES)}")
    async with cli.client() as client:
        if reset:
            if not version:
                raise typer.BadParameter(f"name the version to reset: {model}/3")
            count = await client.reset_baseline(model, version, slice_name=part or None)
            cli.show({"reset": count}, lambda: [_reset_line(name, count)])
            return
        found = await client.drift(
            model,
            version,
            slice_name=part,
            field=field,
            distributions=bool(field),
            stretch_seconds=STRETCHES[stretch],
        )
        if not found.versions:
            await refuse_unknown(client, model, version)
    _check_field(found, field)
    shown = None if everything else SHOWN_AS_USUAL
    of = f"{name}, {part}," if part else name
    cli.show(found, lambda: list(_views(found, of, shown)))


def model_and_version(name: str) -> tuple[str, int]:
    """NAME or NAME/VERSION; 0 for all versions. Raises InvalidArgument, and typer.BadParameter."""
    from headrace.resource_names import check_model_name

    model, slash, number = name.partition("/")
    if slash and not (number.isdecimal() and int(number)):
        raise typer.BadParameter(f"{name!r} is not NAME or NAME/VERSION, as in digits/3")
    return check_model_name(model), int(number or 0)


def _check_field(found: Drift, field: str) -> None:
    """Raises typer.BadParameter where versions are compared, and none has the field that was asked for."""
    compared = [each for each in found.versions if each.source]
    if field and compared and not any(each.fields for each in compared):
        raise typer.BadParameter(
            f"there is no field {field!r}: `headrace drift {compared[0].model} --all` lists them"
        )


def _reset_line(name: str, count: int) -> str:
    if not count:
        return f"No rows of {name} were looked at: there is nothing to reset."
    slices = f" and {count - 1} slices of it" if count > 1 else ""
    return f"The next rows of {name}{slices} are what later ones are compared with."


def _views(found: Drift, name: str, shown: int | None) -> Iterator[Any]:
    if not found.versions:
        yield f"No rows of {name} were looked at yet."
    for place, version in enumerate(found.versions):
        if place:
            yield ""
        yield _heading(version)
        if version.fields:
            yield from _fields(version.fields, shown)
        yield from _cause_lines(version)
        yield from _coarse_lines(version)
        for each in version.fields:
            if each.distributions is not None:
                yield _distributions(each, each.distributions)
                if each.examples:
                    yield _examples(each)
    if any(each.fields for each in found.versions):
        yield (
            f"(at most {found.alpha:g} false alarms a day for each version; shares may change by "
            f"{100 * found.margin:g} %)"
        )


def _heading(version: VersionDrift) -> str:
    part = f", {version.slice}" if version.slice else ""
    return f"{version.model} version {version.version}{part}: {_standing(version)}"


def _standing(version: VersionDrift) -> str:
    if version.untested:
        return "not compared: the memory for that is full (the monitor's setting drift_memory_mb)"
    if not version.source:
        return (
            f"{version.learnt_rows:,} first rows so far, with which later ones are compared from "
            "10,000 rows and 10 minutes on, unless set otherwise\n"
            f"(`headrace reference set {version.model}/{version.version} --samples FILE` compares at once)"
        )
    reference = max((each.reference_rows for each in version.fields), default=0)
    origin = f" ({version.origin})" if version.origin else ""
    return (
        f"{version.compared_rows:,} rows compared with {_SOURCES[version.source]}{origin}, "
        f"{reference:,} rows"
    )


def _fields(fields: Sequence[FieldDrift], shown: int | None) -> Iterator[Any]:
    off = [each for each in fields if each.findings]
    usual = sorted((each for each in fields if not each.findings), key=_nearest_to_drift)
    rows = [row for each in off for row in _finding_rows(each)]
    yield output.table(COLUMNS, [*rows, *map(_usual_row, usual[:shown])])
    if shown is not None and len(usual) > shown:
        left = len(usual) - shown
        are = "fields are as they were" if left > 1 else "field is as it was"
        yield f"({left} more {are}; --all shows them)"


def _nearest_to_drift(field: FieldDrift) -> tuple[float, list[str | int]]:
    """Order fields by their evidence; those that have the same by name, column 2 before column 10."""
    parts: list[str | int] = list(re.split(r"(\d+)", field.field))
    parts[1::2] = [int(each) for each in parts[1::2]]
    return -field.evidence_share, parts


def _finding_rows(field: FieldDrift) -> Iterator[tuple[object, ...]]:
    for each in field.findings:
        effects = each.effects
        yield (
            _name(field),
            each.concern.replace("_", " "),
            output.moment(each.since),
            f"{effects.psi:.2f}",
            _moved(effects.wasserstein),
            f"{each.rows:,}",
            each.change,
        )


def _usual_row(field: FieldDrift) -> tuple[object, ...]:
    effects = field.effects
    return (
        _name(field),
        "as it was" if field.rows else "no rows yet",
        "",
        f"{effects.psi:.2f}",
        _moved(effects.wasserstein),
        f"{field.rows:,}",
        "",
    )


def _name(field: FieldDrift) -> str:
    return field.field if field.aspect == "value" else f"{field.field}, {field.aspect}"


def _moved(sigmas: float | None) -> str:
    return "" if sigmas is None else f"{sigmas:.2f} sd"


def _cause_lines(version: VersionDrift) -> Iterator[str]:
    for cause in version.causes:
        moved = [each for each in cause.moved if each]
        unmoved = [each for each in cause.unmoved if each]
        if moved:
            others = f", not in {', '.join(unmoved)}" if unmoved else ""
            yield f"{cause.field} moved in {', '.join(moved)}{others}"


def _coarse_lines(version: VersionDrift) -> Iterator[str]:
    """Name the numbers that lie so close together that bins without learning tell little of them."""
    coarse = [_name(each) for each in version.fields if 0 < each.stretches <= COARSE]
    if coarse and version.source != "registered":
        more = f" and {len(coarse) - NAMED} more" if len(coarse) > NAMED else ""
        yield (
            f"Of {', '.join(coarse[:NAMED])}{more} small changes are not seen: their values share a "
            "few bins. A reference of samples has finer ones (`headrace reference set --samples`)."
        )


def _distributions(field: FieldDrift, both: Distributions) -> Any:
    """A row for each group that either has rows of."""
    both = _coarser(both)
    reference, current = _shares(both.reference), _shares(both.current)
    most = max((*reference, *current), default=0.0) or 1.0
    rows = [
        (name, f"{100 * old:.1f} %", f"{100 * new:.1f} %", "█" * round(BAR * new / most))
        for name, old, new in zip(_groups(both), reference, current, strict=True)
        if old or new
    ]
    title = f"{_name(field)} since {output.moment(both.current_start_at)}"
    return output.table(("values", "reference>", "now>", ""), rows, title=title)


def _examples(field: FieldDrift) -> Any:
    """The requests that show it."""
    rows = [
        (each.request_id, each.row, output.moment(each.at), each.value, ", ".join(each.slices))
        for each in field.examples
    ]
    title = f"Requests that show it: {_name(field)}"
    return output.table(("request", "row>", "when", "value", "slices"), rows, title=title)


def _coarser(both: Distributions) -> Distributions:
    """The same with at most ROWS_SHOWN stretches of numbers: neighbours are brought together."""
    stretches = len(both.limits) - 1
    each = -(-stretches // ROWS_SHOWN)
    if each <= 1:
        return both
    starts = range(0, stretches, each)

    def summed(counts: Sequence[int]) -> tuple[int, ...]:
        inner = counts[3:-1]
        return (*counts[:3], *(sum(inner[at : at + each]) for at in starts), counts[-1])

    limits = (*(both.limits[at] for at in starts), both.limits[-1])
    return replace(
        both, limits=limits, reference=summed(both.reference), current=summed(both.current)
    )


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]


def _groups(both: Distributions) -> list[str]:
    if both.limits:
        low, high = both.limits[0], both.limits[-1]
        inner = [_range(left, right) for left, right in pairwise(both.limits)]
        return [
            "missing",
            "infinite",
            f"below {output.number(low)}",
            *inner,
            f"above {output.number(high)}",
        ]
    return ["missing", "infinite", *both.labels, "others"]


def _range(left: float, right: float) -> str:
    low, high = output.number(left), output.number(right)
    return high if low == high else f"{low} to {high}"
