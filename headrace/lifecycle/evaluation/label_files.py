"""The names of classes, as the files beside a version's graph have them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Protocol

from headrace.client import Version
from headrace.model_files.labels import LABELS


class FileClient(Protocol):
    """Reads a file of a version."""

    async def version_file(
        self, model: str, number: int, path: str, *, timeout_seconds: float | None = None
    ) -> bytes:
        """The bytes of a file of a version."""


async def labels_of(client: FileClient, version: Version) -> dict[str, tuple[str, ...]]:
    """The labels of each output that has some."""
    folder = PurePosixPath(version.graph_path).parent
    paths = {file.path for file in version.files}
    read: dict[str, tuple[str, ...]] = {}
    found = {}
    for spec in version.signature.outputs:
        for name in (f"{spec.name}.{LABELS}", LABELS):
            path = str(folder / name)
            if path in paths:
                if path not in read:
                    data = await client.version_file(version.model, version.number, path)
                    read[path] = tuple(
                        line.decode("utf-8", "replace") for line in data.splitlines()
                    )
                found[spec.name] = read[path]
                break
    return found
