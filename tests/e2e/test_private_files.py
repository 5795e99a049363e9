"""What a suite writes belongs to its account alone, however it is started and whatever was there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from headrace import errors
from headrace.artifacts.signatures import SigningKey
from headrace.client import AsyncClient
from tests.rpc.registry_fixtures import external_data_files, onnx_file
from tests.suite import RunningSuite, running_suite
from tests.unit.headrace.artifacts.keys import key_pair

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]


def open_to_others(folder: Path) -> Iterator[str]:
    """The files and folders, the folder itself included, that others may do something with."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink() and path.stat().st_mode & 0o077:
            yield path.relative_to(folder).as_posix()


async def _work(suite: RunningSuite, client: AsyncClient, model: Path) -> None:
    """What else writes: archives, refused pushes, deletions, lives after a death, and telemetry."""
    await client.push("lone", onnx_file(2.0))
    with pytest.raises(errors.InvalidArgument):
        await client.push("refused", b"no graph")
    (model / "more.bin").write_bytes(b"more")
    key = SigningKey(key_pair(model.parent, "team").private)
    again = await client.push("digits", model, signing_key=key)
    await client.delete_version("digits", again.number)
    await suite.wait_until_back("replica-0", suite.kill("replica-0"))
    await client.wait_until_ready("lone", 1)
    for _ in range(100):
        await client.infer("lone", {"x": np.zeros((1, 4), np.float32)})
    async with asyncio.timeout(30):
        while not (await client.statistics(model="lone")).versions:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


async def test_files_are_for_their_account_alone(tmp_path: Path) -> None:
    """Of new folders, and of those that an earlier start, or a restored backup, left open to all."""
    model = tmp_path / "model"
    model.mkdir()
    for name, data in external_data_files().items():
        (model / name).write_bytes(data)
    before = os.umask(0)
    try:
        async with (
            running_suite(tmp_path, replicas=2) as suite,
            AsyncClient(
                registry=suite.registry, inference=suite.inference, monitor=suite.monitor
            ) as client,
        ):
            pushed = await client.push("digits", model)
            await client.wait_until_ready("digits", pushed.number)
            await _work(suite, client, model)
            assert [] == sorted(open_to_others(suite.data))
        for path in [suite.data, *suite.data.rglob("*")]:
            path.chmod(0o777 if path.is_dir() else 0o666)
        assert [] != sorted(open_to_others(suite.data))
        edge = ("--gateway", "--gateway-port=0") if find_spec("envoy") else ()
        async with running_suite(tmp_path, extra=edge) as suite:
            assert [] == sorted(open_to_others(suite.data))
    finally:
        os.umask(before)
