"""The names of an output's classes: which file of a version has them."""

from __future__ import annotations

from pathlib import PurePosixPath

from headrace.state.records import VersionRecord

ALL_OUTPUTS = "labels.txt"
"""The file, beside the graph, for every output that has none of its own; that is NAME.labels.txt."""


def label_files(record: VersionRecord) -> dict[str, str]:
    """By output, the path of its label file in the artifact, for those that have one."""
    folder = PurePosixPath(record.graph_path).parent
    paths = {file.path for file in record.files}
    found = {}
    for spec in record.signature.outputs:
        for name in (ALL_OUTPUTS, f"{spec.name}.{ALL_OUTPUTS}"):
            if str(folder / name) in paths:
                found[spec.name] = str(folder / name)
    return found
