"""The options with which commands say something of a version: tags, metrics, lineage."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from headrace.client import Lineage, Metric

_METRICS = "Metrics"
_LINEAGE = "Where it is from"
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")

Tags = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="KEY=VALUE", help="A tag, as team=vision; several times."),
]
MetricValues = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="NAME=VALUE[,LOWER,UPPER]",
        help="A metric, and the ends of its interval, as accuracy=0.97,0.96,0.98; several times.",
        rich_help_panel=_METRICS,
    ),
]
MetricsFile = Annotated[
    Path | None,
    typer.Option(
        "--metrics",
        exists=True,
        dir_okay=False,
        help='Metrics from a .json: {"accuracy": 0.97}, or a list of objects with name, value, slice ...',
        rich_help_panel=_METRICS,
    ),
]
SliceOfMetrics = Annotated[
    str,
    typer.Option(
        "--slice",
        metavar="NAME=VALUE",
        help="The part of the data that the metrics are of, as region=eu.",
        rich_help_panel=_METRICS,
    ),
]
MetricData = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="FILE|FOLDER|SHA-256",
        help="The data that the metrics are of: its digest is kept.",
        rich_help_panel=_METRICS,
    ),
]
RowsOfMetrics = Annotated[
    int,
    typer.Option("--rows", min=0, help="The rows that they are of.", rich_help_panel=_METRICS),
]
Parent = Annotated[
    int | None,
    typer.Option(
        "--parent", min=0, help="The version that it was made of.", rich_help_panel=_LINEAGE
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        "--method", help="How it was made: train, optimise: int8 ...", rich_help_panel=_LINEAGE
    ),
]
MadeBy = Annotated[
    str | None,
    typer.Option("--command", help="The command that made it.", rich_help_panel=_LINEAGE),
]
SourceRevision = Annotated[
    str | None,
    typer.Option("--source-revision", help="The commit of its source.", rich_help_panel=_LINEAGE),
]
Source = Annotated[
    bool,
    typer.Option(
        "--source/--no-source",
        help="Without --source-revision, keep the Git commit of this folder.",
        rich_help_panel=_LINEAGE,
    ),
]
TrainedOn = Annotated[
    str | None,
    typer.Option(
        "--trained-on",
        metavar="FILE|FOLDER|SHA-256",
        help="The data that it was trained or calibrated on: its digest is kept.",
        rich_help_panel=_LINEAGE,
    ),
]
TrainingRun = Annotated[
    str | None,
    typer.Option("--training-run", help="The run of a tracker.", rich_help_panel=_LINEAGE),
]
Facts = Annotated[
    list[str] | None,
    typer.Option(
        "--fact",
        metavar="KEY=VALUE",
        help="A further fact of how it was made, as seed=7; several times.",
        rich_help_panel=_LINEAGE,
    ),
]


@dataclass(frozen=True, slots=True)
class LineageOptions:
    """What was said of where a version is from; None and nothing: as it is."""

    parent: int | None = None
    method: str | None = None
    command: str | None = None
    source_revision: str | None = None
    trained_on: str | None = None
    training_run: str | None = None
    facts: tuple[str, ...] = ()

    @property
    def given(self) -> bool:
        """Return whether anything was said."""
        return self != LineageOptions()

    def over(self, present: Lineage | None) -> Lineage:
        """The lineage with what was said in the place of what was there. Raises typer.BadParameter."""
        from headrace.client import Lineage

        said = {
            "parent_version": self.parent,
            "method": self.method,
            "command": self.command,
            "source_revision": self.source_revision,
            "data_digest": None if self.trained_on is None else digest_of(self.trained_on)[0],
            "training_run": self.training_run,
        }
        lineage = present or Lineage()
        changes: dict[str, Any] = {name: one for name, one in said.items() if one is not None}
        facts = {**lineage.facts, **pairs(self.facts, "--fact")}
        return replace(lineage, **changes, facts=facts)


def pairs(given: list[str] | tuple[str, ...] | None, option: str) -> dict[str, str]:
    """KEY=VALUE texts by key. Raises typer.BadParameter."""
    found = {}
    for text in given or ():
        key, mark, value = text.partition("=")
        if not (mark and key):
            raise typer.BadParameter(
                f"{text!r} is not KEY=VALUE, such as team=vision", param_hint=option
            )
        found[key] = value
    return found


def metrics_of(
    values: list[str] | None, file: Path | None, part: str = "", data: str = "", rows: int = 0
) -> list[Metric]:
    """The metrics that options give. Raises typer.BadParameter."""
    digest, name = digest_of(data)
    found = [*_from_file(file), *map(_metric, values or ())]
    if not found and (part or data or rows):
        raise typer.BadParameter(
            "--slice, --data and --rows are of metrics: give --metric or --metrics"
        )
    return [
        replace(
            each,
            slice=each.slice or part,
            data_digest=each.data_digest or digest,
            data_name=each.data_name or name,
            rows=each.rows or rows,
        )
        for each in found
    ]


def digest_of(data: str) -> tuple[str, str]:
    """The digest of a file or a folder, and its name; that of a digest is ''. Raises typer.BadParameter."""
    from headrace.lifecycle.tables.digests import file_digest, folder_digest

    if not data or _DIGEST.fullmatch(data):
        return data.lower(), ""
    path = Path(data)
    if path.is_file():
        return file_digest(path), path.name
    if path.is_dir():
        files = [each.relative_to(path).as_posix() for each in path.rglob("*") if each.is_file()]
        return folder_digest(path, files), path.resolve().name
    raise typer.BadParameter(
        f"there is no file or folder {data!r}, and it is no SHA-256 of 64 hex digits"
    )


def _metric(text: str) -> Metric:
    from headrace.client import Metric

    name, _, values = text.partition("=")
    try:
        value, *ends = map(float, values.split(","))
        lower, upper = ends or (None, None)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is not NAME=VALUE or NAME=VALUE,LOWER,UPPER, such as accuracy=0.97,0.96,0.98",
            param_hint="--metric",
        ) from error
    return Metric(name, value, lower=lower, upper=upper)


def _from_file(file: Path | None) -> Iterator[Metric]:
    """The metrics of a JSON file. Raises typer.BadParameter."""
    if file is None:
        return
    import msgspec

    from headrace.client import Metric

    try:
        found = json.loads(file.read_text("utf-8"))
        if isinstance(found, dict) and isinstance(found.get("metrics"), (list, dict)):
            found = found["metrics"]
        if isinstance(found, dict):
            yield from (Metric(name, float(value)) for name, value in found.items())
        else:
            yield from msgspec.convert(found, list[Metric])
    except (ValueError, TypeError, RecursionError, msgspec.ValidationError) as error:
        raise typer.BadParameter(
            f'{file} has no metrics: it must be {{"accuracy": 0.97}}, or a list of objects with name and '
            f"value, and what else is known ({error})"
        ) from error
