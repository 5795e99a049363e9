"""Standard streams that were closed when the process began (`>&-`, some supervisors)."""

from __future__ import annotations

import os
import sys


def open_closed_streams() -> None:
    """Let what is closed of 0, 1 and 2 lead nowhere. Called first in a process's `main`.

    Else the next file or socket gets that number, and whatever writes to standard output or error, or a
    child that inherits it, writes into that.
    """
    for descriptor in (0, 1, 2):
        _open_if_closed(descriptor)
    # Python has None for a stream that was closed; print(file=None) would take standard output for it.
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115


def _open_if_closed(descriptor: int) -> None:
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, os.O_RDWR)
        os.dup2(opened, descriptor)
        if opened != descriptor:
            os.close(opened)
