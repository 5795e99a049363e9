"""Become another program, one that ends when its parent does: `parent_death.py PARENT_PID COMMAND...`.

Run as a script of its own in front of a program that does not watch over its parent by itself. Between
fork and exec the same could be done by `preexec_fn`, but not safely in a process that has threads. The
process keeps its id, so its parent waits for it and signals it as usual.

On Linux the kernel sends SIGTERM when the thread that started us ends, even by SIGKILL. Elsewhere there
is no such thing, and the program outlives a parent that was killed.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def tether() -> list[str]:
    """Return what to put before a command so that it ends with this process; its path is absolute.

    Isolated and without site-packages: a few milliseconds to start.
    """
    return [sys.executable, "-I", "-S", __file__, str(os.getpid())]


def main(parent: int, command: list[str]) -> None:
    """Tie this process to `parent`, then run `command` in its place."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we could ask to be told
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
