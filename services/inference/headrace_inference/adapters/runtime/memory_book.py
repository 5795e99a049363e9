"""Keeps the memory of a replica that versions of text are promised: weights, and keys and values to come.

What a version may take of it later is promised when it is opened, so that no other is opened into it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from headrace.errors import Unavailable
from headrace_inference.domain.generation.batching.kv_budget import mebibytes

MOST_PART = 0.9
"""Of the memory that the process may use: the rest is for everything that is no version of text."""

RETRY_AFTER_SECONDS = 30.0


class MemoryBook:
    """The promises of one replica; from any thread."""

    def __init__(self, usable_bytes: int) -> None:
        self.total_bytes = usable_bytes
        self._lock = threading.Lock()
        self._promised: dict[int, tuple[str, int]] = {}
        self._next = 0

    @property
    def promised_bytes(self) -> int:
        """Return what is promised altogether."""
        with self._lock:
            return sum(size for _, size in self._promised.values())

    def promise(self, version: str, weights: int, kv_bytes: int) -> int:
        """Promise a version its memory, until it is given back; the number of the promise.

        Raises Unavailable (MEMORY_PROMISED) where others have it.
        """
        with self._lock:
            left = self.total_bytes - sum(size for _, size in self._promised.values())
            if weights + kv_bytes > left:
                raise self._no_room(version, weights, kv_bytes, left)
            self._next += 1
            self._promised[self._next] = version, weights + kv_bytes
            return self._next

    def correct(self, number: int, size: int) -> None:
        """It turned out to take so much."""
        with self._lock:
            self._promised[number] = self._promised[number][0], size

    def give_back(self, number: int) -> None:
        """The version has gone."""
        with self._lock:
            self._promised.pop(number, None)

    @contextmanager
    def promising(self, version: str, weights: int, kv_bytes: int) -> Iterator[int]:
        """The same while a version is being opened: what fails gives it back."""
        number = self.promise(version, weights, kv_bytes)
        try:
            yield number
        except BaseException:
            self.give_back(number)
            raise

    def _no_room(self, version: str, weights: int, kv_bytes: int, left: int) -> Unavailable:
        others = ", ".join(
            f"{name} ({mebibytes(size)})" for name, size in sorted(self._promised.values())
        )
        return Unavailable(
            "MEMORY_PROMISED",
            f"{version} needs {mebibytes(weights)} for its weights and {mebibytes(kv_bytes)} for keys and "
            f"values, {mebibytes(weights + kv_bytes)} together; of {mebibytes(self.total_bytes)} for "
            f"models of text {mebibytes(left)} are left beside {others or 'none'}: unload one, push it "
            "with a smaller generation.kv_cache_bytes, or give the replica more memory",
            facts={"needed_bytes": str(weights + kv_bytes), "left_bytes": str(left)},
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
