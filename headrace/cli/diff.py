"""`headrace diff`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli import output
from headrace.cli.annotate import interval
from headrace.cli.arguments import ModelName
from headrace.cli.command import Cli, command
from headrace.cli.completion import version_names
from headrace.cli.described import described

if TYPE_CHECKING:
    from headrace.client import Metric
    from headrace.lifecycle.versions.comparison import (
        Difference,
        MetricDifference,
        VersionComparison,
    )

_SHOWN_DIGEST = 12


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "diff")(diff)


def _version(text: str) -> typer.models.ArgumentInfo:
    info: typer.models.ArgumentInfo = typer.Argument(help=text, autocompletion=version_names)
    return info


async def diff(
    cli: Cli,
    name: ModelName,
    first: Annotated[str, _version("A version: its number or an alias.")],
    second: Annotated[str, _version("The version that it is compared with.")],
) -> None:
    """Show in what two versions of a model differ: tensors, config, files, metrics, lineage, tags."""
    from headrace.lifecycle.versions.comparison import compare_versions

    async with cli.client() as client:
        numbers = [await client.resolve(name, each) for each in (first, second)]
        one, other = [await described(client, name, number) for number in numbers]
    found = compare_versions(one, other)
    cli.show(_document(found), lambda: list(_lines(found)))


def _document(found: VersionComparison) -> dict[str, object]:
    """The comparison for programs: with what follows from its metrics."""
    import dataclasses

    metrics = [
        {
            **{each.name: getattr(one, each.name) for each in dataclasses.fields(one)},
            "change": one.change,
            "intervals_overlap": one.intervals_overlap,
        }
        for one in found.metrics
    ]
    parts = {each.name: getattr(found, each.name) for each in dataclasses.fields(found)}
    return {**parts, "metrics": metrics}


def _lines(found: VersionComparison) -> Iterator[object]:
    ours, theirs = found.size_bytes
    yield f"{found.model}: version {found.first} and version {found.second}"
    if found.same_artifact:
        yield f"the same files ({output.size(ours)})"
    else:
        yield f"{output.size(ours)} and {output.size(theirs)} ({_percent(ours, theirs)})"
    heads = (f"version {found.first}", f"version {found.second}")
    for title, differences in (
        ("description", found.description),
        ("signature", found.signature),
        ("serving config", found.config),
        ("files", [_short(each) for each in found.files]),
        ("lineage", found.lineage),
        ("tags", found.tags),
        ("reference", [_short(each) for each in found.reference]),
    ):
        if differences:
            rows = ((each.what, each.first or "-", each.second or "-") for each in differences)
            yield from ("", output.table((title, *heads), rows))
    if found.metrics:
        columns = ("metric", "slice", "data", f"{heads[0]}>", f"{heads[1]}>", "change>", "")
        yield from ("", output.table(columns, map(_metric_row, found.metrics)))


def _metric_row(each: MetricDifference) -> Sequence[str]:
    words = {True: "intervals overlap", False: "beyond the intervals", None: ""}
    return (
        each.name,
        each.slice,
        each.data_name or each.data_digest[:_SHOWN_DIGEST],
        _value(each.first),
        _value(each.second),
        "" if each.change is None else f"{each.change:+.4g}",
        words[each.intervals_overlap],
    )


def _value(metric: Metric | None) -> str:
    if metric is None:
        return "-"
    ends = interval(metric)
    return f"{output.number(metric.value)} [{ends}]" if ends else output.number(metric.value)


def _short(each: Difference) -> Difference:
    """The same with digests as people compare them."""
    import dataclasses

    return dataclasses.replace(
        each,
        first=each.first[:_SHOWN_DIGEST] if len(each.first) == 64 else each.first,
        second=each.second[:_SHOWN_DIGEST] if len(each.second) == 64 else each.second,
    )


def _percent(before: int, after: int) -> str:
    return f"{(after - before) / before:+.1%}" if before else "new"
