"""`headrace serve-folder`: one process, which takes a replica's settings and stops in order."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from headrace.service.parent_death import tether
from tests.e2e.models import scaling

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]
COMMAND = (sys.executable, "-m", "headrace.cli", "serve-folder")
FREE = ("--http-port", "0", "--grpc-port", "0", "--metrics-port", "0")


async def test_a_folder_as_kserve_mounts_it(tmp_path: Path) -> None:
    """model.onnx lies in the folder itself, and the model is called as it is told."""
    models = tmp_path / "mnt" / "models"
    models.mkdir(parents=True)
    (models / "model.onnx").write_bytes(scaling(3))
    reading, writing = os.pipe()
    options = ("--model-name", "scaled", "--data", str(tmp_path / "data"), f"--ready-fd={writing}")
    process = await asyncio.create_subprocess_exec(
        *(*tether(), *COMMAND, str(models), *FREE, *options),
        pass_fds=[writing],
        env={**os.environ, "HEADRACE_REDIS_URL": "redis://somewhere:1"},
    )
    os.close(writing)
    with os.fdopen(reading) as lines:
        said = [json.loads(line) for line in await asyncio.to_thread(lines.readlines)]
    body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
    url = f"http://{said[-1]['http']}/v2/models/scaled/infer"
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        outputs = (await response.json())["outputs"]
    process.send_signal(signal.SIGTERM)

    assert 0 == await asyncio.wait_for(process.wait(), 30)
    assert [3.0, 6.0] == outputs[0]["data"]
    assert ["joining"] == [line["stage"] for line in said[:-1]]


def test_a_wrong_folder_ends_it_with_what_was_found(tmp_path: Path) -> None:
    """The exit status is 1, and the last line says what is there."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models/net.pt").write_text("x")
    run = subprocess.run(
        [*COMMAND, str(tmp_path / "models"), *FREE, "--data", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 1 == run.returncode
    assert "has no model: it has net.pt" in run.stderr.splitlines()[-1]


def test_a_wrong_setting_is_told_as_a_replica_does(tmp_path: Path) -> None:
    """Options that the command does not know are the replica's."""
    run = subprocess.run(
        [*COMMAND, str(tmp_path), "--max-loading", "0"], capture_output=True, text=True, check=False
    )

    assert 2 == run.returncode
    assert "--max-loading: 0 is not over 0" in run.stderr
