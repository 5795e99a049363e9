"""The folders of runs: a new one for each attempt, for what a killed one left is no result."""

from __future__ import annotations

import shutil
from pathlib import Path

from headrace.lifecycle.retraining.journal import Journal

_OUT = "out-"


def new_out(folder: Path) -> Path:
    """A new folder for what the command writes; those of earlier attempts are removed."""
    earlier = {
        int(path.name.removeprefix(_OUT)): path
        for path in folder.glob(f"{_OUT}*")
        if path.name.removeprefix(_OUT).isdecimal()
    }
    for path in earlier.values():
        shutil.rmtree(path, ignore_errors=True)
    out = folder / f"{_OUT}{max(earlier, default=0) + 1}"
    out.mkdir(parents=True)
    return out


def remove_old_runs(journal: Journal, keep: int) -> None:
    """Remove the folders of all but the newest runs; the journal keeps what they did."""
    for run in list(journal.runs)[:-keep]:
        shutil.rmtree(journal.work_folder(run), ignore_errors=True)
