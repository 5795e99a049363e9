"""Versions of a shared cache stay while some living process uses them, and no longer."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace_inference.adapters.artifact_cache.leases import CacheLeases, open_cache_leases

HOLDER = """
import sys, time
from pathlib import Path
from headrace_inference.adapters.artifact_cache.leases import open_cache_leases
with open_cache_leases(Path(sys.argv[1])) as leases:
    leases.hold("digest")
    print("holds", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that uses 'digest' until its input ends, or it is killed."""
    arguments = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"holds\n" == process.stdout.readline()
        yield process


def is_unused(leases: CacheLeases, digest: str = "digest") -> bool:
    """Whether it may be removed."""
    with leases.removing(digest) as unused:
        return unused


def test_what_a_process_used_that_was_killed_is_in_use_by_nobody(tmp_path: Path) -> None:
    """Nothing of it stays behind."""
    with open_cache_leases(tmp_path) as leases, another_process(tmp_path) as process:
        used = is_unused(leases)
        process.kill()
        process.wait()
        assert (False, True) == (used, is_unused(leases))
        assert 1 == len([path for path in tmp_path.iterdir() if path.is_dir()])


def test_a_version_is_in_use_as_often_as_it_is_loaded(tmp_path: Path) -> None:
    """Two models may have the same bytes."""
    with open_cache_leases(tmp_path) as ours, open_cache_leases(tmp_path) as others:
        for _ in range(2):
            ours.hold("digest")
        ours.release("digest")
        once = is_unused(others), is_unused(ours)
        ours.release("digest")
        assert ((False, False), True, True) == (once, is_unused(others), is_unused(ours))


def test_nobody_begins_to_use_what_is_being_removed(tmp_path: Path) -> None:
    """It waits until that is over."""
    with open_cache_leases(tmp_path) as ours, open_cache_leases(tmp_path) as others:
        with ours.removing("digest") as unused:
            holding = threading.Thread(target=others.hold, args=["digest"])
            holding.start()
            holding.join(0.1)
            waited = holding.is_alive()
        holding.join()
        assert (True, True, False) == (unused, waited, is_unused(ours))


def test_a_release_may_come_in_the_middle_of_anything(tmp_path: Path) -> None:
    """Whoever collects garbage gives up what a version had that is gone, whatever that thread is at."""
    with open_cache_leases(tmp_path) as leases:
        leases.hold("gone")

        def work() -> None:
            with leases.removing("digest"):
                leases.release("gone")

        working = threading.Thread(target=work, daemon=True)
        working.start()
        working.join(10)
        assert not working.is_alive()
        assert is_unused(leases, "gone")


def test_a_folder_that_takes_nothing_costs_others_the_sight_only(tmp_path: Path) -> None:
    """What this process uses it knows all the same."""
    (tmp_path / "in-use").write_bytes(b"no folder")
    with open_cache_leases(tmp_path / "in-use") as leases:
        leases.hold("digest")
        assert (False, True) == (is_unused(leases), is_unused(leases, "other"))


class _Owner:
    """Uses a version until the collector finds it."""

    def __init__(self, leases: CacheLeases, digest: str) -> None:
        self.itself = self
        weakref.finalize(self, leases.release_later, digest)


def test_what_the_collector_releases_waits_for_nobody(tmp_path: Path) -> None:
    """It may find the last user of a version while the same thread begins to use another one."""

    def use_and_forget() -> None:
        gc.set_threshold(1)  # a collection at every turn
        try:
            for index in range(50):
                leases.hold(f"d{index}")
                _Owner(leases, f"d{index}")
        finally:
            gc.set_threshold(*before)

    before = gc.get_threshold()
    with open_cache_leases(tmp_path / "in-use") as leases:
        thread = threading.Thread(target=use_and_forget, daemon=True)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
        gc.collect()
        with leases.removing("d49") as unused:
            assert unused
