"""Chooses the allocator of memory, tells it what a server of models needs, and has it give memory back."""

from __future__ import annotations

import ctypes
import glob
import os
import sys
import sysconfig
from collections.abc import Sequence
from typing import Literal

AllocatorName = Literal["system", "tcmalloc", "jemalloc"]

_LIBRARIES: dict[str, tuple[str, ...]] = {
    "tcmalloc": ("libtcmalloc_minimal.so*", "libtcmalloc.so*"),
    "jemalloc": ("libjemalloc.so*",),
}
_PRELOAD = "LD_PRELOAD"
_SIGNS: dict[str, AllocatorName] = {
    "MallocExtension_ReleaseFreeMemory": "tcmalloc",
    "mallctl": "jemalloc",
}
"""A function that only the allocator in use has."""

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_ARENAS = 2
_LARGEST_IN_ARENA = 4 * 2**20
_KEPT_BYTES = 64 * 2**20

_PURGE_ALL_ARENAS = b"arena.4096.purge"
"""jemalloc's MALLCTL_ARENAS_ALL."""


def in_use() -> AllocatorName:
    """Return the allocator of this process, whoever chose it."""
    process = ctypes.CDLL(None)
    return next((name for sign, name in _SIGNS.items() if hasattr(process, sign)), "system")


def library_of(name: AllocatorName) -> str:
    """Return the path of an installed allocator's library; empty where it is not installed."""
    for pattern in _LIBRARIES.get(name, ()):
        for folder in _library_folders():
            if found := sorted(glob.glob(pattern, root_dir=folder)):  # noqa: PTH207  # sorted by name
                return os.path.join(folder, found[0])  # noqa: PTH118
    return ""


def restart_with(name: AllocatorName) -> bool:
    """Start this process anew with an allocator, if it does not have it already.

    Only the loader can put it in the place of the C library's. To be called before anything else runs.
    Returns only where nothing is to be done: False where the allocator is not installed here.
    """
    if name == in_use() or name == "system":
        return True
    library = library_of(name) if sys.platform == "linux" else ""
    others = os.environ.get(_PRELOAD, "")
    if not library or library in others:  # it was preloaded, and did not take
        return False
    os.environ[_PRELOAD] = f"{library} {others}".strip()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606  # ourselves
    raise AssertionError


def tune_allocator() -> None:
    """Tell glibc what a server of models needs. To be called once, before threads start.

    Two arenas for all threads: every thread that loads a version would else take one of its own, and what
    freed blocks leave between others in each is never given back. Over 60 loads of 20 MB a replica grew by
    6 % of its size, and by nothing with two arenas; requests were as fast, within the noise.

    Tensors of a megabyte come and go with every request: blocks of up to 4 MiB are taken from the arenas,
    at whose ends some freed memory stays, where each would else be mapped, filled with pages one fault at
    a time, and unmapped again. Larger ones, such as weights, are mapped, and so given back whole.
    """
    if sys.platform != "linux" or in_use() != "system":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_IN_ARENA)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def return_freed_memory() -> None:
    """Let the allocator give freed blocks back to the kernel.

    glibc keeps blocks under 32 MB for itself: of a model of 200 MB, 180 stayed resident after its session
    was closed, and none after this. Other C libraries have no such call and need none.
    """
    if sys.platform != "linux":
        return
    process = ctypes.CDLL(None)
    name = in_use()
    if name == "tcmalloc":
        process.MallocExtension_ReleaseFreeMemory()
    elif name == "jemalloc":
        process.mallctl(_PURGE_ALL_ARENAS, None, None, None, ctypes.c_size_t(0))
    elif hasattr(process, "malloc_trim"):
        process.malloc_trim(0)


def _library_folders() -> Sequence[str]:
    """The folders in which distributions put libraries."""
    architecture = sysconfig.get_config_var("MULTIARCH") or f"{os.uname().machine}-linux-gnu"
    return (
        "/usr/local/lib",
        f"/usr/lib/{architecture}",
        "/usr/lib64",
        "/usr/lib",
    )
