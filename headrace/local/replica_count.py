"""Chooses how many replicas `headrace up` runs where nobody said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from headrace.machine.cores import usable_cores

CORES_PER_REPLICA = 8
"""One process keeps three cores busy with small models: one with Python, two with HTTP/2. The others run
what is larger, and a single request of a large model is quickest in a process that has many cores."""
MOST = 4
REPLICA_BYTES = 128 << 20
"""The price of a further one: an idle process."""
_MEMORY_SHARE = 2
"""All of them together take one part in so many of the memory at most, with each a copy of every model."""


def chosen_count(cores: int, memory_bytes: int, model_bytes: int) -> int:
    """Return the number for so many usable cores, so much memory, and models of this size."""
    affordable = memory_bytes // _MEMORY_SHARE // (REPLICA_BYTES + model_bytes)
    return max(1, min(MOST, cores // CORES_PER_REPLICA, affordable))


def count_here(data: Path) -> int:
    """Return the number for this machine, and for the models that the suite of a data folder has."""
    cores = usable_cores()
    if cores < 2 * CORES_PER_REPLICA:  # whatever the models are: nothing is read
        return 1
    from headrace.machine.memory import usable_memory_bytes

    return chosen_count(cores, usable_memory_bytes(), stored_bytes(data))


def stored_bytes(data: Path) -> int:
    """Return the size of the models that a suite's registry has in the suite's data folder."""
    return sum(_sizes(data / "registry" / "blobs"))


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                yield path.stat().st_size
        except OSError:  # it went meanwhile
            continue
