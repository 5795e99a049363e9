"""Where a version is from, as far as a process can tell by itself."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from headrace.state.annotation_records import Lineage

_SECONDS = 5.0
_LONGEST_COMMAND = 2000


def source_revision(folder: Path | str = ".") -> str:
    """The commit of the Git work tree that a folder is in, `-dirty` behind it where tracked files differ.

    '' where the folder is in none, or there is no Git.
    """
    described = ("describe", "--always", "--abbrev=40", "--exclude=*", "--dirty")
    try:
        found = subprocess.run(
            ["git", "-c", "core.fsmonitor=false", *described],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def made_here(method: str = "train", **said: object) -> Lineage:
    """The lineage of a version that this process makes: its command line, and the commit that it runs from.

    `said` are further fields of a Lineage, such as `data_digest`; they go first.
    """
    command = shlex.join([Path(sys.executable).name, *sys.argv])[:_LONGEST_COMMAND]
    fields = {"method": method, "command": command, "source_revision": source_revision()}
    return Lineage(**(fields | said))  # type: ignore[arg-type]  # a wrong field raises TypeError
