"""Runs a chart's containers as processes of this machine, with files and addresses of a test."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from headrace.service.parent_death import tether
from tests.e2e.kubernetes.manifests import Manifest

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
MOUNTED = ("/data", "/etc/headrace", "/var/run/secrets/headrace")
"""Where a pod's files are; below the pod's folder here."""


def arguments(container: Manifest, folder: Path, changes: Mapping[str, str]) -> list[str]:
    """The container's, with its files in a folder, and some flags changed or added."""
    given = dict(each.removeprefix("--").split("=", 1) for each in container["args"])
    moved = {
        name: str(folder / value.lstrip("/")) if value.startswith(MOUNTED) else value
        for name, value in given.items()
    }
    flags = {**moved, "host": "127.0.0.1", **changes}
    return [f"--{name}={value}" for name, value in flags.items()]


@asynccontextmanager
async def running(
    container: Manifest, folder: Path, changes: Mapping[str, str]
) -> AsyncIterator[dict[str, str]]:
    """The container's process runs while inside; where it listens, as soon as it says so."""
    reading, writing = os.pipe()
    flags = arguments(container, folder, {**changes, "ready-fd": str(writing)})
    module = container["command"][-1]
    process = await asyncio.create_subprocess_exec(
        *(*tether(), sys.executable, "-m", module, *flags), pass_fds=[writing]
    )
    os.close(writing)
    try:
        yield await asyncio.wait_for(asyncio.to_thread(_first_line, reading), READY_SECONDS)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), STOP_SECONDS)


def _first_line(descriptor: int) -> dict[str, str]:
    with os.fdopen(descriptor) as lines:
        line = lines.readline()
    assert line, "it ended at its start; its log says why"
    said: dict[str, str] = json.loads(line)
    return said
