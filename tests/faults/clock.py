"""A wall clock that tests set, for the processes that are started while it is there."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SOURCE = Path(__file__).with_name("clock_shift.c")


class Clock:
    """By how many seconds the clock is off."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, seconds: int) -> None:
        """Set the clock of all processes at once."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("q", seconds))
        self.seconds = seconds


@contextmanager
def open_clock(folder: Path) -> Iterator[Clock]:
    """A clock for the processes that are started inside. It needs a C compiler."""
    library, file = folder / "clock_shift.so", folder / "clock_shift"
    command = ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(_SOURCE), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    clock = Clock(file)
    preloaded = {"LD_PRELOAD": str(library), "FAULTS_CLOCK_SHIFT": str(file)}
    before = {name: os.environ.get(name) for name in preloaded}
    os.environ.update(preloaded)
    try:
        yield clock
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
