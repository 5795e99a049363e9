"""A checker with real child processes, and what is pushed to it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from headrace_registry.adapters.checks.checker import ProcessChecker
from headrace_registry.adapters.checks.limits import CheckLimits
from headrace_registry.domain.pushes.artifacts import Checked, Format, Pushed, RequestedOptions


class CountingThreads(ThreadPoolExecutor):
    """Threads for children, which count how many were started."""

    children = 0

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start one more."""
        self.children += 1
        return super().submit(*args, **kwargs)


class Bench:
    """A checker in a folder, and pushes to it."""

    def __init__(self, folder: Path, threads: CountingThreads, **limits: Any) -> None:
        bounds: dict[str, Any] = {
            "seconds": 30.0,
            "memory_bytes": 4 << 30,
            "unpacked_bytes": 1 << 30,
            "files": 100,
            "expansion": 100,
            "at_a_time": 1,
            "trial_seconds": 30.0,
            "machine_bytes": 16 << 30,
        }
        self.folder = folder
        self.threads = threads
        quick = limits.pop("quick_seconds", 10.0)
        self.checker = ProcessChecker(
            CheckLimits(**bounds | limits), lambda: 8 << 30, threads, quick
        )
        self._pushes = 0

    async def check(
        self,
        artifact: bytes,
        file_format: Format = Format.ONNX,
        asked: RequestedOptions | None = None,
        model: str = "m",
    ) -> tuple[Checked, dict[str, bytes]]:
        """What is found, and the files that a version would have."""
        self._pushes += 1
        staging = self.folder / str(self._pushes)
        staging.mkdir()
        file = staging / "pushed"
        file.write_bytes(artifact)
        digest = hashlib.sha256(artifact).hexdigest()
        pushed = Pushed(model, file, file_format, len(artifact), digest)
        checked = await self.checker.check(
            pushed, staging / "artifact", asked or RequestedOptions()
        )
        found = (path for path in (staging / "artifact").rglob("*") if path.is_file())
        return checked, {path.name: path.read_bytes() for path in found}


@contextmanager
def bench(folder: Path, **limits: Any) -> Iterator[Bench]:
    """A checker while inside."""
    with CountingThreads(4) as threads:
        yield Bench(folder, threads, **limits)
