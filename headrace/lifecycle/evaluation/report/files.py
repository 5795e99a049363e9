"""The files of a report."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from headrace.lifecycle.evaluation.evaluation import Evaluation
from headrace.lifecycle.evaluation.report.page import page
from headrace.lifecycle.evaluation.report.plots import plots


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A file by its name."""

    name: str
    media_type: str
    data: bytes = field(repr=False)


def report_files(evaluation: Evaluation, verdict: tuple[str, ...] = ()) -> tuple[ReportFile, ...]:
    """`report.html`, `report.json`, and a PNG of each plot; `verdict` has a line for each rule.

    Raises FailedPrecondition (LIFECYCLE_EXTRA_MISSING).
    """
    drawn = plots(evaluation)
    html = page(evaluation, drawn, verdict).encode()
    document = json.dumps(evaluation.document(), indent=1, ensure_ascii=False).encode()
    return (
        ReportFile("report.html", "text/html", html),
        ReportFile("report.json", "application/json", document),
        *(ReportFile(f"{plot.name}.png", "image/png", plot.png) for plot in drawn),
    )
