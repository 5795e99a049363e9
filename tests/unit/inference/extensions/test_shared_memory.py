"""Regions of real shared memory: their bounds, their keys, and what becomes of them."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from headrace.errors import HeadraceError
from headrace_inference.adapters.system_memory import FOLDER, open_system_memory
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.scheduling.requests import SharedMemorySlice

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="POSIX shared memory is no folder here")


@contextmanager
def memory(data: bytes) -> Iterator[Path]:
    """Shared memory with these bytes while inside; its name is its key."""
    path = FOLDER / f"headrace-test-{uuid4().hex}"
    path.write_bytes(data)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@pytest.fixture
def table() -> RegionTable:
    """A table that allows the system's shared memory."""
    return RegionTable(open_system_memory)


def reason_of(call: object, *arguments: object) -> str:
    """Why a call is refused."""
    with pytest.raises(HeadraceError) as caught:
        call(*arguments)  # type: ignore[operator]  # rows are methods
    return caught.value.reason


def test_what_is_written_is_what_is_read(table: RegionTable) -> None:
    """Windows lie in the region, and the region in its memory."""
    with memory(bytes(64)) as path:
        table.register_system("r", f"/{path.name}", 16, 32)
        table.write(SharedMemorySlice("r", 8, 4), b"12345678")

        assert b"12345678" == path.read_bytes()[20:28]
        assert b"345" == table.read(SharedMemorySlice("r", 3, 6))


@pytest.mark.parametrize(
    ("offset", "size"),
    [(0, 65), (64, 1), (1, 64), (2**64, 1), (0, 2**64), (2**63, 2**63), (0, 0), (-1, 4), (8, -4)],
)
def test_a_region_must_lie_in_its_memory(table: RegionTable, offset: int, size: int) -> None:
    """Sizes and offsets that reach out of it, or wrap around at 64 bits, are refused."""
    with memory(bytes(64)) as path:
        assert "REGION_INVALID" == reason_of(table.register_system, "r", path.name, offset, size)
    assert [] == table.status("")


@pytest.mark.parametrize(
    ("offset", "size"), [(0, 33), (32, 1), (-1, 2), (2**63, 2**63), (2**64 - 1, 2)]
)
def test_a_window_must_lie_in_its_region(table: RegionTable, offset: int, size: int) -> None:
    """Though the memory beyond the region is there."""
    with memory(bytes(64)) as path:
        table.register_system("r", path.name, 0, 32)
        assert "REGION_BOUNDS" == reason_of(table.read, SharedMemorySlice("r", size, offset))


@pytest.mark.parametrize("key", ["", "/", ".", "..", "/..", "../etc/passwd", "/a/b", "//a", "a\0b"])
def test_a_key_is_a_plain_name(table: RegionTable, key: str) -> None:
    """No key leads out of the folder of shared memory."""
    assert "REGION_INVALID" == reason_of(table.register_system, "r", key, 0, 1)


def test_a_key_is_not_a_link(table: RegionTable) -> None:
    """A link in the folder of shared memory is not followed."""
    with memory(b"secret") as path:
        link = FOLDER / f"{path.name}-link"
        link.symlink_to(path)
        try:
            assert "REGION_INVALID" == reason_of(table.register_system, "r", link.name, 0, 1)
        finally:
            link.unlink()


def test_keys_of_tritons_own_processes_are_refused(table: RegionTable) -> None:
    """As Triton refuses them."""
    with pytest.raises(HeadraceError, match="cannot register shared memory region"):
        table.register_system("r", "/triton_python_backend_shm_region_1", 0, 1)


def test_memory_that_shrank_fails_a_read_and_a_write(table: RegionTable) -> None:
    """A client that truncates its memory gets an error, and the memory does not grow again."""
    with memory(bytes(64)) as path:
        table.register_system("r", path.name, 0, 64)
        os.truncate(path, 10)

        assert "REGION_GONE" == reason_of(table.read, SharedMemorySlice("r", 16))
        assert "REGION_GONE" == reason_of(table.write, SharedMemorySlice("r", 16), b"x" * 16)
        assert 10 == path.stat().st_size
        assert bytes(10) == table.read(SharedMemorySlice("r", 10))


def test_removed_memory_stays_until_it_is_unregistered(table: RegionTable) -> None:
    """What was registered is the memory, not its name; its descriptor is closed at the end."""
    with memory(b"kept") as path:
        table.register_system("r", path.name, 0, 4)
        path.unlink()
        assert b"kept" == table.read(SharedMemorySlice("r", 4))
        before = _times_open(path)
        table.unregister("r")
        gc.collect()
        assert (1, 0) == (before, _times_open(path))


def _times_open(path: Path) -> int:
    descriptors = list(Path("/proc/self/fd").iterdir())
    links = [str(entry.readlink()) for entry in descriptors if entry.is_symlink()]
    return sum(link.startswith(str(path)) for link in links)


def test_a_name_is_registered_once_and_forgotten_at_any_time(table: RegionTable) -> None:
    """Registering twice is refused; forgetting what is not there is not, as with Triton."""
    with memory(bytes(8)) as path:
        table.register_system("a", path.name, 0, 8)
        table.register_system("b", path.name, 4, 4)

        assert "REGION_EXISTS" == reason_of(table.register_system, "a", path.name, 0, 8)
        assert ["a", "b"] == [region.name for region in table.status("")]
        table.unregister("a")
        table.unregister("a")
        assert ["b"] == [region.name for region in table.status("")]
        table.unregister("")
        assert [] == table.status("")


def test_without_a_device_there_is_no_device_memory(table: RegionTable) -> None:
    """The refusal says so."""
    assert "CUDA_UNAVAILABLE" == reason_of(table.register_device, "r", b"h" * 64, 0, 8)


def test_switched_off_nothing_is_offered() -> None:
    """Every use says which setting allows it."""
    table = RegionTable()
    calls = [(table.register_system, "r", "k", 0, 1), (table.status, ""), (table.unregister, "")]
    assert ["SHARED_MEMORY_DISABLED"] * 3 == [reason_of(*call) for call in calls]
