"""A retraining of a small model on a real suite: its file, its command, its journal."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from headrace.client import AsyncClient
from headrace.lifecycle.retraining.journal import Journal, Outcome, Step
from tests.suite import RunningSuite, without_settings

DATA = "a,b,label\n" + "\n".join(f"{i % 7},{i % 5},{int(i % 7 > i % 5)}" for i in range(70))
TRAIN = """
import json, os, pathlib, sys, time
sys.path.insert(0, {root!r})
from tests.unit.headrace.lifecycle.graphs import linear
out = pathlib.Path(os.environ["HEADRACE_OUT"])
weights = [[-1.0, 1.0], [1.0, -1.0]] if "good" in sys.argv else [[1.0, -1.0], [-1.0, 1.0]]
time.sleep(float(os.environ.get("SLOW", "0")))
out.joinpath("model.onnx").write_bytes(linear(weights, [0.1, 0.0], {output!r}))
out.joinpath("facts.json").write_text(json.dumps({{"metrics": {{"train_accuracy": 1.0}}}}))
"""
FILE = """
model: census
train: {{command: ["{{python}}", train.py, {kind}], environment: {{SLOW: "{slow}"}}}}
evaluate:
  data: test.csv
  target: label
  task: binary
  no_worse_than: [{{metric: accuracy, than: stable, margin: 0.01}}]
{more}
promote: {{aliases: [champion]}}
"""


def written(folder: Path, kind: str, more: str = "", slow: float = 0, output: str = "y") -> Path:
    """A retraining file whose command writes a good or a bad model."""
    root = str(Path(__file__).resolve().parents[2])
    (folder / "train.py").write_text(TRAIN.format(root=root, output=output))
    (folder / "test.csv").write_text(DATA)
    path = folder / "retrain.yaml"
    path.write_text(FILE.format(kind=kind, more=more, slow=slow))
    return path


def client_of(suite: RunningSuite) -> AsyncClient:
    return AsyncClient(
        registry=suite.registry, inference=suite.inference, monitor=suite.monitor, actor="test"
    )


async def retrain(suite: RunningSuite, file: Path, *flags: str) -> asyncio.subprocess.Process:
    addresses = [
        f"--registry={suite.registry}",
        f"--inference={suite.inference}",
        f"--monitor={suite.monitor}",
    ]
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headrace.cli", "retrain", str(file), *addresses, *flags),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=without_settings(os.environ),
        start_new_session=True,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str]:
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, (out + err).decode()


def journal(file: Path) -> Journal:
    return Journal(file.parent / ".retrain-census")


async def until(file: Path, step: Step) -> None:
    """Wait until the newest run is at a step, or behind it."""
    async with asyncio.timeout(60):
        while True:
            with suppress(FileNotFoundError):
                text = (file.parent / ".retrain-census/journal.jsonl").read_text()
                if f'"step":"{step}"' in text:
                    return
            await asyncio.sleep(0.01)


async def serving(client: AsyncClient) -> tuple[int, int]:
    """The stable version, and the one that the alias names."""
    stable = (await client.route("census")).stable
    return stable, await client.resolve("census", "champion")


def outcomes(file: Path) -> list[Outcome | None]:
    return [run.ended.outcome if run.ended else None for run in journal(file).runs.values()]
