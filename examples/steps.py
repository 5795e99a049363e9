"""What demonstrations share: headlines with the time, and a suite that runs while they do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from headrace.service.parent_death import tether


class Steps:
    """Numbered headlines with the time since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._number = 0

    @property
    def seconds(self) -> float:
        """The time since the start."""
        return time.monotonic() - self._started

    def next(self, text: str) -> None:
        """The next headline."""
        self._number += 1
        print(f"\n[{self.seconds:5.1f} s] {self._number}. {text}", flush=True)


@contextmanager
def running_suite(
    data: Path, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[dict[str, Any]]:
    """`headrace up` on free ports while inside; gives what its ready line says."""
    up = [sys.executable, "-m", "headrace.cli", "up", "--port=0", "--json", f"--data={data}"]
    command = [*tether(), *up]  # the suite ends with this process, even if that is killed
    with (
        (data.parent / "suite.log").open("w") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | settings
        ) as process,
    ):
        try:
            assert process.stdout
            line = process.stdout.readline()
            if not line:
                sys.exit((data.parent / "suite.log").read_text())
            yield json.loads(line)
        finally:
            process.terminate()
            print(f"the suite stopped with status {process.wait()}")
