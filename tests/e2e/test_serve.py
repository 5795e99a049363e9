"""`headrace serve` as a process: what it prints can be pasted and works."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from headrace.cli.served_models import Source, bring_in
from headrace.client import AsyncClient
from headrace.local.suite import STATUS_FILE
from headrace.service.parent_death import tether
from tests.rpc.registry_fixtures import onnx_file
from tests.suite import read_ready_line

image = pytest.importorskip("PIL.Image")
COMMANDS = {"curl": ["bash", "-c"], "python": [sys.executable, "-c"]}
if shutil.which("node"):
    COMMANDS["javascript"] = ["node", "--input-type=module", "-e"]


def text_model() -> bytes:
    """A model that answers the text that it is given."""
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["text"], ["label"])],
        "text",
        [tensor("text", TensorProto.STRING, ["rows"])],
        [tensor("label", TensorProto.STRING, ["rows"])],
    )
    return _graph_bytes(graph)


def image_model() -> bytes:
    """A model that takes pixels of any size and answers the mean of each channel."""
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["float", "axes"], ["mean"], keepdims=0),
        ],
        "image",
        [tensor("image", TensorProto.UINT8, ["rows", "height", "width", 3])],
        [tensor("mean", TensorProto.FLOAT, ["rows", 3])],
        [numpy_helper.from_array(np.array([1, 2]), "axes")],
    )
    return _graph_bytes(graph)


def _graph_bytes(graph: onnx.GraphProto) -> bytes:
    opsets = [helper.make_opsetid("", 20)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return bytes(model.SerializeToString())


async def run(command: Sequence[str], call: str) -> str:
    """What a pasted call prints."""
    process = await asyncio.create_subprocess_exec(
        *command, call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_every_printed_call_works_when_it_is_pasted(tmp_path: Path) -> None:
    """Models with numbers, text and images, each called by curl, Python and JavaScript as printed; what is
    there already is not pushed again, what has changed answers next; Ctrl-C ends all with status 0."""
    for name, graph in (("add", onnx_file()), ("text", text_model()), ("image", image_model())):
        (tmp_path / f"{name}.onnx").write_bytes(graph)
    files = [str(tmp_path / f"{name}.onnx") for name in ("add", "text", "image")]
    flags = ("--port=0", "--json", f"--data={tmp_path / 'data'}")
    process = await asyncio.create_subprocess_exec(
        *(*tether(), sys.executable, "-m", "headrace.cli", "serve", *files, *flags),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        ready = await read_ready_line(process)
        printed = {
            (each["model"], kind): await run(command, each["calls"][kind])
            for each in ready["models"]
            for kind, command in COMMANDS.items()
        }
        inferred = await _infer(ready["inference"][0]["grpc"], tmp_path)
        again = await _again(ready["registry"], ready["inference"][0]["grpc"], Path(files[0]))
        process.send_signal(signal.SIGINT)
        assert 0 == await asyncio.wait_for(process.wait(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    expected = {"add": "1.5", "text": "some text", "image": "1"}
    assert len(COMMANDS) * 3 == len(printed)
    assert [] == [key for key, output in printed.items() if expected[key[0]] not in output]
    assert "255.   0. 128." in inferred["image"]
    assert "3.000000      3" in inferred["add"]
    assert "['a=b']" in inferred["text"]
    assert [(1, False), (2, True), (3, True), (1, False)] == again
    assert not (tmp_path / "data" / STATUS_FILE).exists()


async def _infer(inference: str, folder: Path) -> dict[str, str]:
    """What `headrace infer` prints for an image, a table and a text."""
    image.new("RGB", (6, 4), (255, 0, 128)).save(folder / "photo.png")
    (folder / "rows.csv").write_text("a,b,c,d\n-1,0,1,2\n")
    command = [sys.executable, "-m", "headrace.cli", "--inference", inference, "infer"]
    return {
        "image": await run([*command, "image"], f"@{folder / 'photo.png'}"),
        "add": await run([*command, "add", "--classes", "2"], f"@{folder / 'rows.csv'}"),
        "text": await run([*command, "text"], "a=b"),
    }


async def _again(registry: str, inference: str, file: Path) -> list[tuple[int, bool]]:
    """The stable versions after the same bytes, others, and the first again, and which were pushed."""
    found = []
    async with AsyncClient(registry=registry, inference=inference) as client:
        for bias in (1.0, 2.0, 3.0, 1.0):
            await asyncio.to_thread(file.write_bytes, onnx_file(bias))
            served = await bring_in(client, Source("add", file), None)
            found.append(((await client.route("add")).stable, served.is_new))
    return found
