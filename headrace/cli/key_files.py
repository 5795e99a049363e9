"""Warns of key files that other accounts of this machine may read."""

from __future__ import annotations

import os
import shlex
import stat
import sys
from functools import cache
from pathlib import Path

from headrace.cli.error_report import printable

_MOUNTED = (Path("/var/run/secrets"), Path("/run/secrets"))
"""Where Kubernetes and Docker put tokens: with rights that are not their reader's to choose."""
_OTHERS_READ = stat.S_IRGRP | stat.S_IROTH


@cache
def warn_if_others_read(file: Path) -> None:
    """Say on standard error, once, that others may read a key, and what changes it."""
    if others_read(file):
        text = f"others may read the key in {file}: chmod 600 {shlex.quote(str(file))}"
        print(f"warning: {printable(text)}", file=sys.stderr)


def others_read(file: Path) -> bool:
    """Return whether a group or everybody may read a file that its owner could close to them.

    Links are not looked at, as tokens that Kubernetes projects are; a file that is not there is not either.
    """
    try:
        found = file.lstat()
    except OSError:
        return False
    is_mounted = found.st_uid == 0 and any(map(file.absolute().is_relative_to, _MOUNTED))
    is_open = os.name == "posix" and bool(found.st_mode & _OTHERS_READ)
    return is_open and stat.S_ISREG(found.st_mode) and not is_mounted
