"""The report of an evaluation: plots as PNG, and an HTML page that has all in one file."""

from headrace.lifecycle.evaluation.report.files import report_files

__all__ = ["report_files"]
