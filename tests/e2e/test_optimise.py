"""`headrace optimise` on a suite of real processes."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from headrace.client import AsyncClient
from headrace.lifecycle.optimisation import Allowed, Wishes, optimise
from headrace.lifecycle.optimisation.measuring.scratch_models import OF, UNTIL
from headrace.state.gate_records import GateComparison, GateRecord
from tests.suite import RunningSuite, running_suite
from tests.unit.headrace.lifecycle.optimisation import small_graphs

pytestmark = pytest.mark.e2e

_POLL_SECONDS = 0.02
IN_VAIN = Wishes(
    methods=["int4"],
    allowed=Allowed(output_difference=1e-7),
    measure_seconds=0.1,
    through_server=False,
)
"""Nothing is so close; measured without the suite."""


async def start(suite: RunningSuite, *arguments: str) -> asyncio.subprocess.Process:
    """Start the command for the suite."""
    addresses = ("--registry", suite.registry, "--inference", suite.inference)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "headrace.cli", "optimise", *arguments),
        *(*addresses, "--monitor", suite.monitor, "--timeout", "60", "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def answer(process: asyncio.subprocess.Process) -> tuple[int | None, Any]:
    """The exit code and the document of a command."""
    out, told = await process.communicate()
    assert out, told.decode()
    return process.returncode, json.loads(out)


async def pushed(client: AsyncClient, folder: Path) -> list[str]:
    """Push the perceptron of digits with a reference and labels; the options that name its data."""
    images, labels = small_graphs.digits()
    np.savez(folder / "digits.npz", image=images[:400], digit=labels[:400])
    files = folder / "model"
    files.mkdir()
    onnx.save(onnx.load_from_string(small_graphs.digits_mlp()), files / "model.onnx")
    (files / "labels.txt").write_text("".join(f"{digit}\n" for digit in range(10)))
    await client.push("digits", files, config={"batching": {"max_batch_size": 16}})
    await client.set_reference("digits", 1, {"image": images[:200]})
    return ["--data", str(folder / "digits.npz"), "--target", "digit", "--max-loss", "0.02"]


async def scratch_model(client: AsyncClient) -> str:
    """Wait for a scratch model with versions that are asked; its name."""
    while True:
        for each in await client.models():
            if OF in each.labels and each.last_version > 1:
                return each.name
        await asyncio.sleep(_POLL_SECONDS)


async def test_a_version_is_optimised_or_kept_and_nothing_is_left_behind(tmp_path: Path) -> None:
    """The chosen one is a version with lineage, metrics, report and its parent's reference.

    The scratch model goes with the command that made it, and so does what a kill left of an earlier one.
    """
    async with (
        running_suite(tmp_path) as suite,
        AsyncClient(
            registry=suite.registry, inference=suite.inference, monitor=suite.monitor
        ) as client,
    ):
        data = await pushed(client, tmp_path)
        labels = {OF: "digits", UNTIL: "1"}
        await client.create_model("digits-optimise-left", labels=labels)
        short = ("--method", "static-int8", "--measure-seconds", "0.1")
        gate = GateRecord(no_worse_than=(GateComparison("f1_macro", "", 0.05),), aliases=("small",))
        await client.update_model("digits", gate=gate)
        wanted = ("--metric", "f1_macro", "--alias", "small")
        made = await answer(await start(suite, "digits", *data, *short, *wanted))
        kept = await optimise(client, "digits", 1, tmp_path / "digits.npz", IN_VAIN)
        version = await client.version("digits", await client.resolve("digits", "small"))
        said = await client.annotations("digits", version.number)
        parents = await client.annotations("digits", 1)
        reference = await client.reference("digits", version.number)
        after = [each.name for each in await client.models()]

    status, document = made
    assert (0, "static-int8", version.number) == (status, document["chosen"], document["pushed"])
    assert 16 == version.config.batching.max_batch_size
    assert {"labels.txt", "model.onnx"} == {file.path for file in version.files}
    assert said.lineage is not None
    assert (1, "optimise: static-int8") == (said.lineage.parent_version, said.lineage.method)
    accuracy, theirs = said.metric("accuracy"), parents.metric("accuracy")
    assert accuracy is not None
    assert theirs is not None
    assert accuracy.value > 0.9
    assert (200, theirs.data_digest) == (accuracy.rows, accuracy.data_digest)
    assert {"f1_macro", "log_loss", "optimisation.loss"} <= {each.name for each in said.metrics}
    assert {"optimisation/trade.png", "optimisation/report.html", "optimisation/report.json"} == {
        each.path for each in said.attachments
    }
    assert 200 == reference.rows
    figures = {each["name"]: each["cost"] for each in document["candidates"]}
    assert {"version 1", "static-int8"} == set(figures)
    assert all(cost["p50_ms"] > 0 and cost["cpu_seconds"] > 0 for cost in figures.values())
    assert (None, 0) == (kept.chosen, kept.pushed)
    assert "kept as it is: no candidate is within the loss" in kept.verdict()
    assert all(each.cost and each.cost.memory_bytes for each in kept.measured)
    assert ["digits"] == after


@pytest.mark.toolchain
async def test_a_scratch_model_goes_however_the_command_ends(tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM take it away."""
    ended = []
    async with (
        running_suite(tmp_path) as suite,
        AsyncClient(
            registry=suite.registry, inference=suite.inference, monitor=suite.monitor
        ) as client,
    ):
        data = await pushed(client, tmp_path)
        long = ("--method", "simplify", "--method", "fp16", "--measure-seconds", "60")
        for number in (signal.SIGINT, signal.SIGTERM):
            process = await start(suite, "digits/1", *data, *long)
            async with asyncio.timeout(60):
                await scratch_model(client)
                process.send_signal(number)
                await process.communicate()
            ended.append(process.returncode)
        left = [each.name for each in await client.models()]
    assert ["digits"] == left
    assert [130, 143] == ended
