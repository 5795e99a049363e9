"""The files of an evaluation's report."""

from __future__ import annotations

import json

from headrace.lifecycle.evaluation.evaluation import Evaluation
from headrace.lifecycle.evaluation.report.page import report_page
from headrace.lifecycle.evaluation.report.plots import plots
from headrace.lifecycle.reports.files import ReportFile


def report_files(evaluation: Evaluation, verdict: tuple[str, ...] = ()) -> tuple[ReportFile, ...]:
    """`report.html`, `report.json`, and a PNG of each plot; `verdict` has a line for each rule.

    Raises FailedPrecondition (LIFECYCLE_EXTRA_MISSING).
    """
    drawn = plots(evaluation)
    html = report_page(evaluation, drawn, verdict).encode()
    document = json.dumps(evaluation.document(), indent=1, ensure_ascii=False).encode()
    return (
        ReportFile("report.html", html),
        ReportFile("report.json", document),
        *(ReportFile(f"{plot.name}.png", plot.png) for plot in drawn),
    )
