"""The files of an explanation: its plot, its page, its figures."""

from __future__ import annotations

import msgspec

from headrace.lifecycle.explanation.explanation import Explanation
from headrace.lifecycle.explanation.html_report import html_report, sample_report
from headrace.lifecycle.explanation.plots import plot, plot_sample
from headrace.lifecycle.explanation.sample_explanation import SampleExplanation
from headrace.lifecycle.reports.files import ReportFile


def report_files(found: Explanation | SampleExplanation) -> tuple[ReportFile, ...]:
    """`row.png`, `row.html` and `row.json`; of an image, a text and a sample `image`, `text`, `global`.

    Raises FailedPrecondition (LIFECYCLE_EXTRA_MISSING).
    """
    if isinstance(found, SampleExplanation):
        name, drawn = "global", plot_sample(found)
        page = sample_report(found, drawn)
    else:
        name, drawn = _name(found), plot(found)
        page = html_report(found, drawn)
    return (
        ReportFile(f"{name}.png", drawn),
        ReportFile(f"{name}.html", page.encode()),
        ReportFile(f"{name}.json", msgspec.json.encode(found.document())),
    )


def _name(found: Explanation) -> str:
    return "image" if found.grid else "text" if found.text is not None else "row"
