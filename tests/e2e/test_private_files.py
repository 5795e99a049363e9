"""What a suite writes belongs to its account alone, however it is started and whatever was there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from headrace.client import AsyncClient
from tests.rpc.registry_fixtures import onnx_file
from tests.suite import running_suite

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]


def open_to_others(folder: Path) -> Iterator[str]:
    """The files and folders, the folder itself included, that others may do something with."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink() and path.stat().st_mode & 0o077:
            yield path.relative_to(folder).as_posix()


async def test_files_are_for_their_account_alone(tmp_path: Path) -> None:
    """Of new folders, and of those that an earlier start, or a restored backup, left open to all."""
    model = tmp_path / "model.onnx"
    model.write_bytes(onnx_file())
    before = os.umask(0)
    try:
        async with (
            running_suite(tmp_path) as suite,
            AsyncClient(
                registry=suite.registry, inference=suite.inference, monitor=suite.monitor
            ) as client,
        ):
            pushed = await client.push("digits", model)
            await client.wait_until_ready("digits", pushed.number)
            await client.infer("digits", {"x": np.zeros((1, 4), np.float32)})
            assert [] == sorted(open_to_others(suite.data))
        for path in [suite.data, *suite.data.rglob("*")]:
            path.chmod(0o777 if path.is_dir() else 0o666)
        assert [] != sorted(open_to_others(suite.data))
        async with running_suite(tmp_path) as suite:
            assert [] == sorted(open_to_others(suite.data))
    finally:
        os.umask(before)
