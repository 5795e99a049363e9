"""Files that a command reads and that are damaged, or made to do damage: told as wrong usage."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from headrace.cli.annotation_options import metrics_of
from headrace.cli.inputs import _arrays, _json
from headrace.cli.label_files import _objects
from headrace.cli.prompts_file import _prompts
from headrace.cli.push import read_config
from headrace.cli.sample_files import read_samples

NESTED = '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"


def read_all(found: Iterator[Any]) -> None:
    """Read to the end."""
    for _ in found:
        pass


READERS: dict[str, Callable[[Path], object]] = {
    "samples": read_samples,
    "labels": lambda path: read_all(_objects(path)),
    "prompts": lambda path: read_all(_prompts(path, chats=False)),
    "config": lambda path: read_config(path, path),
    "metrics": lambda path: metrics_of(None, path, "", "", 0),
    "inputs": lambda path: _json(path.read_text(), str(path)),
}


@pytest.mark.parametrize("reader", READERS)
def test_nested_json_is_told(reader: str, tmp_path: Path) -> None:
    """No depth of lists ends a command with a traceback."""
    path = tmp_path / "nested.json"
    path.write_text(NESTED)
    with pytest.raises(typer.BadParameter):
        READERS[reader](path)


def claiming(path: Path) -> None:
    """An array that claims terabytes."""
    head = io.BytesIO()
    described = {"descr": "<f8", "fortran_order": False, "shape": (10**13,)}
    np.lib.format.write_array_header_1_0(head, described)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", head.getvalue())


def damaged(path: Path) -> None:
    """A compressed array whose middle is damaged."""
    np.savez_compressed(path, a=np.arange(1000))
    data = bytearray(path.read_bytes())
    data[150:400] = bytes(byte ^ 0x5A for byte in data[150:400])
    path.write_bytes(data)


@pytest.mark.parametrize("write", [claiming, damaged])
def test_damaged_arrays_are_told(write: Callable[[Path], None], tmp_path: Path) -> None:
    """As samples and as inputs."""
    path = tmp_path / "a.npz"
    write(path)
    with pytest.raises(typer.BadParameter, match=r"a\.npz"):
        read_samples(path)
    with pytest.raises(ValueError, match="cannot be read"):
        _arrays(path)
