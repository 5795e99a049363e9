"""How many replicas run where nobody said."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.local.replica_count import MOST, REPLICA_BYTES, chosen_count, stored_bytes

GIB = 1 << 30


@pytest.mark.parametrize(
    ("cores", "expected"), [(1, 1), (2, 1), (8, 1), (15, 1), (16, 2), (31, 3), (32, 4), (192, MOST)]
)
def test_cores_choose(cores: int, expected: int) -> None:
    """One for each eight cores, at least one, and no more than pay."""
    assert expected == chosen_count(cores, 64 * GIB, 0)


def test_models_that_do_not_fit_twice_are_held_once() -> None:
    """Replicas with their models take half of the memory at most."""
    assert 4 == chosen_count(64, 64 * GIB, 7 * GIB)
    assert 2 == chosen_count(64, 64 * GIB, 15 * GIB)
    assert 1 == chosen_count(64, 64 * GIB, 40 * GIB)
    assert 1 == chosen_count(64, REPLICA_BYTES, 0)


def test_stored_models_are_counted(tmp_path: Path) -> None:
    """By the sizes of the registry's files; before there are any they are none."""
    assert 0 == stored_bytes(tmp_path)
    folder = tmp_path / "registry" / "blobs" / "ab"
    folder.mkdir(parents=True)
    (folder / "one").write_bytes(b"12345")
    (folder / "two").write_bytes(b"678")
    assert 8 == stored_bytes(tmp_path)
