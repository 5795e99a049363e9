"""Metrics of a replica's caches."""

from __future__ import annotations

from collections.abc import Iterator

from headrace_inference.adapters.artifact_cache.file_checks import FileChecks
from headrace_inference.adapters.metrics.text import Family


class CacheMeter:
    """Reads what the checks of files found."""

    def __init__(self, checks: FileChecks) -> None:
        self._checks = checks

    def families(self) -> Iterator[Family]:
        """Yield how many files were damaged."""
        name, text = (
            "headrace_inference_damaged_files_total",
            "Files of the caches that were damaged",
        )
        family = Family(name, "counter", text)
        family.add(self._checks.damaged_files)
        yield family
