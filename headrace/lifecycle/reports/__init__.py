"""What reports are made of: pages of HTML, plots as PNG, files that are there whole."""

from headrace.lifecycle.reports.files import MEDIA_TYPES, ReportFile, write_whole
from headrace.lifecycle.reports.pages import figure, page, table, warning
from headrace.lifecycle.reports.plots import as_png, new_figure, plain_text

__all__ = [
    "MEDIA_TYPES",
    "ReportFile",
    "as_png",
    "figure",
    "new_figure",
    "page",
    "plain_text",
    "table",
    "warning",
    "write_whole",
]
