"""Writes reports and plots where options say, and keeps them with versions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from headrace.client import AsyncClient
    from headrace.lifecycle.explanation import Explanation, SampleExplanation
    from headrace.lifecycle.reports import ReportFile


def write_report(path: Path, data: bytes) -> None:
    """Write a file that is there whole, or as it was before. Raises typer.BadParameter."""
    from headrace.lifecycle.reports import write_whole

    try:
        write_whole(path, data)
    except OSError as error:
        raise typer.BadParameter(f"cannot write {path}: {error.strerror}") from error


async def keep_explanation(
    client: AsyncClient,
    found: Explanation | SampleExplanation,
    *,
    png: Path | None,
    report: Path | None,
    store: bool,
) -> None:
    """Write the files that were asked for, and attach all to the version, below `explanation/`."""
    if png is None and report is None and not store:
        return
    from headrace.lifecycle.explanation import report_files

    files = report_files(found)
    for path, ending in ((png, ".png"), (report, ".html")):
        if path is not None:
            write_report(path, _ending(files, ending).data)
    for file in files if store else ():
        place = f"explanation/{file.name}"
        await client.attach(
            found.model, found.version, place, file.data, media_type=file.media_type
        )


def _ending(files: Sequence[ReportFile], ending: str) -> ReportFile:
    return next(file for file in files if file.name.endswith(ending))
