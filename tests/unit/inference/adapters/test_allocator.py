"""Another allocator than the C library's: a process starts anew with it, once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headrace_inference.adapters.allocator import AllocatorName, library_of

NAMES: list[AllocatorName] = ["tcmalloc", "jemalloc"]

STARTS = """
import sys
from headrace_inference.adapters import allocator
name, *folders = sys.argv[1:]
if folders:
    allocator._library_folders = lambda: folders
print("started", flush=True)
print(allocator.restart_with(name), allocator.in_use(), sys.flags.safe_path, flush=True)
allocator.tune_allocator()
allocator.return_freed_memory()
"""


def started(*arguments: str) -> list[str]:
    """The lines of a process that asks for an allocator."""
    command = [sys.executable, "-P", "-c", STARTS, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return result.stdout.splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_a_process_starts_anew_with_the_allocator_that_is_asked_for(name: AllocatorName) -> None:
    """Once, with the same arguments and options; it gives memory back as that allocator does."""
    if not library_of(name):
        pytest.skip(f"{name} is not installed")
    assert ["started", "started", f"True {name} True"] == started(name)


def test_the_allocator_of_the_system_needs_no_second_start() -> None:
    """It is there already."""
    assert ["started", "True system True"] == started("system")


def test_one_that_is_not_installed_is_told(tmp_path: Path) -> None:
    """The process goes on with what it has."""
    assert ["started", "False system True"] == started("tcmalloc", str(tmp_path))


def test_one_that_cannot_be_loaded_is_tried_once(tmp_path: Path) -> None:
    """The loader leaves it out, and so do we: nothing starts again and again."""
    (tmp_path / "libtcmalloc_minimal.so.4").write_bytes(b"no library")
    outcome = started("tcmalloc", str(tmp_path))
    assert ["started", "started", "False system True"] == outcome
