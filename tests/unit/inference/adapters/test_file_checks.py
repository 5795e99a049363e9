"""Digests of files, however they are read."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from headrace_inference.adapters.artifact_cache.file_checks import PART_BYTES, sha256, tree_digest
from headrace_inference.adapters.artifact_cache.scrubber import (
    CHUNK_BYTES,
    slow_digest,
    slow_tree_digest,
)

SIZES = (0, 1, CHUNK_BYTES, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 5)
FAST = 1 << 40


@pytest.mark.parametrize("size", SIZES)
async def test_slow_reading_finds_the_same(tmp_path: Path, size: int) -> None:
    """At the edges of parts, too."""
    path = tmp_path / "file"
    path.write_bytes(random.Random(size).randbytes(size))
    with path.open("rb") as file:
        assert sha256(path) == await slow_digest(file, FAST)
        file.seek(0)
        assert tree_digest(path) == await slow_tree_digest(file, FAST)


@pytest.mark.parametrize("place", [0, PART_BYTES - 1, PART_BYTES, 2 * PART_BYTES + 4])
def test_every_byte_counts(tmp_path: Path, place: int) -> None:
    """Wherever it is altered, the digest is another."""
    data = bytearray(2 * PART_BYTES + 5)
    path = tmp_path / "file"
    path.write_bytes(data)
    before = tree_digest(path)
    data[place] = 1
    path.write_bytes(data)
    assert before != tree_digest(path)


def test_a_tree_digest_is_that_of_its_parts(tmp_path: Path) -> None:
    """Whoever wants to check an entry by hand can."""
    path = tmp_path / "file"
    path.write_bytes(b"a" * PART_BYTES + b"b")
    parts = hashlib.sha256(b"a" * PART_BYTES).digest() + hashlib.sha256(b"b").digest()
    assert hashlib.sha256(parts).hexdigest() == tree_digest(path)
