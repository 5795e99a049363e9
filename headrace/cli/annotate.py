"""`headrace annotate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import annotation_options as options
from headrace.cli import output
from headrace.cli.annotation_options import LineageOptions
from headrace.cli.command import Cli, command
from headrace.cli.error_report import printable
from headrace.cli.named_versions import VersionName, named
from headrace.state.annotation_records import CARD_PATH

if TYPE_CHECKING:
    from headrace.client import AsyncClient, Attachment, Lineage, Metric, VersionAnnotations

_TRIES = 5
_METRIC_COLUMNS = ("metric", "value>", "interval", "slice", "data", "rows>", "measured")
_FILE_COLUMNS = ("attachment", "type", "size>", "attached")


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "annotate", changes=True)(annotate)


async def annotate(
    cli: Cli,
    name: VersionName,
    tag: options.Tags = None,
    untag: Annotated[
        list[str] | None, typer.Option("--untag", metavar="KEY", help="Take a tag away.")
    ] = None,
    description: Annotated[
        str | None, typer.Option(help="For people; it hides that of the push. '' shows that again.")
    ] = None,
    metric: options.MetricValues = None,
    metrics: options.MetricsFile = None,
    part: options.SliceOfMetrics = "",
    data: options.MetricData = "",
    rows: options.RowsOfMetrics = 0,
    remove_metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Take a metric away, of all slices and data."),
    ] = None,
    parent: options.Parent = None,
    method: options.Method = None,
    made_by: options.MadeBy = None,
    source_revision: options.SourceRevision = None,
    trained_on: options.TrainedOn = None,
    training_run: options.TrainingRun = None,
    fact: options.Facts = None,
    card: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help=f"The model card, Markdown: {CARD_PATH}."),
    ] = None,
    attach: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE[:PATH]", help="Keep a file with it, at its name or a path; several times."
        ),
    ] = None,
    detach: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="Take an attached file away.")
    ] = None,
    etag: Annotated[str, typer.Option(help="Only if this is still the etag of what is said.")] = "",
) -> None:
    """Say something of a version: tags, metrics, lineage, files. Without options, show what is said."""
    lineage = LineageOptions(
        parent, method, made_by, source_revision, trained_on, training_run, tuple(fact or ())
    )
    said: dict[str, Any] = {
        "tags": options.pairs(tag, "--tag"),
        "remove_tags": untag or (),
        "description": description,
        "metrics": options.metrics_of(metric, metrics, part, data, rows),
        "remove_metrics": remove_metric or (),
    }
    files = _files(card, attach or [])
    async with cli.client() as client:
        model, version = await named(client, name)
        found = await client.annotations(model, version)
        if lineage.given or any(one not in (None, (), [], {}) for one in said.values()):
            found = await _say(client, found, said, lineage, etag)
            etag = ""  # it holds for the first change: the next ones go on from there
        for path, content in files.items():
            found = await client.attach(model, version, path, content, etag=etag)
            etag = ""
        for path in detach or ():
            found = await client.detach(model, version, path, etag=etag)
            etag = ""
    cli.show(found, lambda: lines_of(found))


async def _say(
    client: AsyncClient,
    present: VersionAnnotations,
    said: Mapping[str, Any],
    lineage: LineageOptions,
    etag: str,
) -> VersionAnnotations:
    """Say it, with what was said of the lineage before as far as it is not named; tried until nobody
    comes in between."""
    from headrace.errors import Aborted

    model, version = present.model, present.version
    if not lineage.given:
        return await client.annotate(model, version, **said, etag=etag)
    for attempt in range(_TRIES):
        whole = lineage.over(present.lineage)
        try:
            return await client.annotate(
                model, version, **said, lineage=whole, etag=etag or present.etag
            )
        except Aborted:
            if etag or attempt == _TRIES - 1:
                raise
            present = await client.annotations(model, version)
    raise AssertionError("the last attempt ends")


def _files(card: Path | None, attached: Sequence[str]) -> dict[str, bytes]:
    """The files to attach, by their paths. Raises typer.BadParameter."""
    files = {} if card is None else {CARD_PATH: card.read_bytes()}
    for text in attached:
        file, path = _place(text)
        if path in files:
            raise typer.BadParameter(f"two files are attached at {path!r}: say FILE:PATH of one")
        files[path] = file.read_bytes()
    return files


def _place(text: str) -> tuple[Path, str]:
    whole = Path(text)
    if whole.is_file():
        return whole, whole.name
    file, _, path = text.rpartition(":")
    if file and path and Path(file).is_file():
        return Path(file), path
    raise typer.BadParameter(f"there is no file {text!r}", param_hint="--attach")


def lines_of(said: VersionAnnotations) -> list[object]:
    """All that is said of a version, for people."""
    if not said.updated_at:
        return [f"nothing is said of version {said.version} of {said.model} yet"]
    lines: list[object] = [f"version {said.version} of {said.model}"]
    if said.description:
        lines += [f"  {printable(line)}" for line in said.description.splitlines()]
    lines += [f"  {key} = {printable(value)}" for key, value in said.tags.items()]
    lines += [f"  {line}" for line in lineage_lines(said.lineage)]
    if said.metrics:
        lines += ["", output.table(_METRIC_COLUMNS, map(_metric_row, said.metrics))]
    if said.attachments:
        lines += ["", output.table(_FILE_COLUMNS, map(_file_row, said.attachments))]
    return lines


def lineage_lines(lineage: Lineage | None) -> list[str]:
    """Where a version is from, a fact a line."""
    if lineage is None:
        return []
    facts = {
        "made of": f"version {lineage.parent_version}" if lineage.parent_version else "",
        "by": lineage.method,
        "command": lineage.command,
        "source": lineage.source_revision,
        "trained on": lineage.data_digest,
        "run": lineage.training_run,
        **lineage.facts,
    }
    return [f"{name}: {printable(value)}" for name, value in facts.items() if value]


def _metric_row(metric: Metric) -> tuple[object, ...]:
    return (
        metric.name,
        output.number(metric.value),
        interval(metric),
        metric.slice,
        metric.data_name or metric.data_digest[:12],
        metric.rows or "",
        output.moment(metric.measured_at),
    )


def interval(metric: Metric) -> str:
    """The interval of a metric for people; '' where it has none."""
    if metric.lower is None or metric.upper is None:
        return ""
    share = f" ({metric.confidence:.0%})" if metric.confidence else ""
    return f"{output.number(metric.lower)} to {output.number(metric.upper)}{share}"


def _file_row(attachment: Attachment) -> tuple[object, ...]:
    return (
        attachment.path,
        attachment.media_type,
        output.size(attachment.size_bytes),
        output.moment(attachment.created_at),
    )
