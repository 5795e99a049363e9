"""Where a version's files lie, and the errors of one that cannot be opened from them now."""

from __future__ import annotations

from pathlib import Path

from headrace.errors import Unavailable
from headrace.state.records import VersionRecord

_RETRY_AFTER_SECONDS = 5.0


def folder_of(graph_path: Path, record: VersionRecord) -> Path:
    """The folder of the version's files, among which the graph has its path."""
    return graph_path.parents[record.graph_path.count("/")]


def no_memory(record: VersionRecord, failure: Exception) -> Unavailable:
    """The error of a version for which there is no memory now."""
    return Unavailable(
        "OUT_OF_MEMORY",
        f"no memory to open {record.key}: {failure}; unload other versions or add memory",
        retry_after_seconds=_RETRY_AFTER_SECONDS,
    )


def files_unusable(record: VersionRecord, failure: OSError) -> Unavailable:
    """The error of a version whose files cannot be read, or written beside, now."""
    return Unavailable(
        "LOAD_FILES_UNUSABLE",
        f"the files of {record.key} cannot be used: {failure}; see to the disk of the data folder",
        retry_after_seconds=_RETRY_AFTER_SECONDS,
    )
