"""A push that says all it can of session and warm-up, from the command line to a served answer."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc

from headrace.datatypes import Datatype, to_wire
from tests.e2e.served import Addresses, serving
from tests.operator_library import LIBRARY, operator_folder, shouting
from tests.unit.inference.runtime.models import Tensor, node, save

pytestmark = pytest.mark.e2e

TEXTS = {
    "session": {"custom_operators": [LIBRARY], "graph_optimization": "GRAPH_OPTIMIZATION_BASIC"},
    "warm_up": {"samples": [{"name": "day", "inputs": {"x": {"file": "warmup/word"}}}]},
}
IMAGES: dict[str, Any] = {
    "session": {
        "execution_mode": "EXECUTION_MODE_PARALLEL",
        "inter_op_threads": 2,
        "cpu_memory_arena": False,
        "memory_pattern": False,
        "io_binding": True,
        "free_dimensions": {"height": 3, "width": 2},
    },
    "batching": {"max_batch_size": 4, "allowed_batch_sizes": [2, 4]},
    "warm_up": {
        "samples": [
            {"name": "noise", "runs": 3, "inputs": {"x": {"data": "MADE_UP_DATA_RANDOM"}}},
            {"name": "two", "inputs": {"x": {"file": "warmup/two.npy"}}},
        ]
    },
    "provider_options": {"cpu": {"session.dynamic_block_base": "4"}},
}


@dataclass(frozen=True, slots=True)
class Suite:
    """A running suite, and a folder for what is pushed to it."""

    addresses: Addresses
    folder: Path

    def push(self, name: str, artifact: Path, config: Any, *flags: str) -> tuple[int | None, str]:
        """Push with a serving config; the exit status, and what was said on standard error."""
        text = self.folder / f"{name}.json"
        text.write_text(json.dumps(config))
        return asyncio.run(self._run("push", name, str(artifact), "--config", str(text), *flags))

    async def _run(self, *arguments: str) -> tuple[int | None, str]:
        command = (sys.executable, "-m", "headrace.cli", "--registry", self.addresses.registry)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, *arguments, stdout=pipe, stderr=pipe
        )
        _, complaints = await asyncio.wait_for(process.communicate(), 90)
        return process.returncode, complaints.decode()


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """A suite whose services have a folder with a library of custom operators."""
    folder: Path = tmp_path_factory.mktemp("config")
    operators = operator_folder(folder / "operators")
    environ = {"HEADRACE_CUSTOM_OPERATORS": str(operators)}
    with serving(folder, {}, environ=environ) as addresses:
        yield Suite(addresses, folder)


def test_custom_operators_and_a_sample_of_texts(suite: Suite) -> None:
    """The library is found by its name at the registry and at the replica, and the answer is its own."""
    artifact = suite.folder / "texts"
    (artifact / "warmup").mkdir(parents=True)
    (artifact / "model.onnx").write_bytes(shouting())
    (artifact / "warmup" / "word").write_bytes(to_wire(np.array(["word"])))
    config = TEXTS | {"batching": {"max_batch_size": 0}}
    config["warm_up"]["samples"][0]["inputs"]["x"]["shape"] = [1]  # type: ignore[index]

    assert (0, "") == suite.push("texts", artifact, config, "--wait")

    with tritonclient.grpc.InferenceServerClient(suite.addresses.grpc) as client:
        given = tritonclient.grpc.InferInput("x", [2], "BYTES")
        given.set_data_from_numpy(np.array([b"ab", b"c"], np.object_))
        answer = client.infer("texts", [given])
        shown = client.get_model_config("texts", as_json=True)["config"]
    assert [b"AB", b"C"] == answer.as_numpy("y").tolist()
    assert [LIBRARY] == shown["model_operations"]["op_library_filename"]
    assert "word" == shown["model_warmup"][0]["inputs"]["x"]["input_data_file"]


def test_a_session_as_asked_answers_in_the_shapes_that_it_fixes(suite: Suite) -> None:
    """Metadata, checks and answers follow the sizes that the config gives to free dimensions."""
    artifact = suite.folder / "images"
    (artifact / "warmup").mkdir(parents=True)
    x, y = (Tensor(name, Datatype.FP32, ["n", "height", "width"]) for name in "xy")
    save(artifact / "model.onnx", [node("Neg", ["x"], ["y"])], [x], [y])
    np.save(artifact / "warmup" / "two.npy", np.ones((2, 3, 2), np.float32))

    assert (0, "") == suite.push("images", artifact, IMAGES, "--wait")

    values = np.arange(6, dtype=np.float32).reshape(1, 3, 2)
    with tritonclient.grpc.InferenceServerClient(suite.addresses.grpc) as client:
        metadata = client.get_model_metadata("images", as_json=True)
        shown = client.get_model_config("images", as_json=True)["config"]
        given = tritonclient.grpc.InferInput("x", [1, 3, 2], "FP32").set_data_from_numpy(values)
        answer = client.infer("images", [given]).as_numpy("y")
        other = tritonclient.grpc.InferInput("x", [1, 4, 2], "FP32")
        other.set_data_from_numpy(np.zeros((1, 4, 2), np.float32))
        with pytest.raises(tritonclient.grpc.InferenceServerException, match="expected") as caught:
            client.infer("images", [other])
    assert ["-1", "3", "2"] == metadata["outputs"][0]["shape"]
    assert (-values).tolist() == answer.tolist()
    assert "StatusCode.INVALID_ARGUMENT" == caught.value.status()
    parameters = {name: value["string_value"] for name, value in shown["parameters"].items()}
    assert {
        "execution_mode": "1",
        "inter_op_thread_count": "2",
        "enable_mem_arena": "0",
        "enable_mem_pattern": "0",
    }.items() <= parameters.items()


def test_what_cannot_be_is_refused_at_the_push(suite: Suite) -> None:
    """The command says what was expected."""
    artifact = suite.folder / "refused"
    artifact.mkdir()
    x, y = (Tensor(name, Datatype.FP32, ["n", 2]) for name in "xy")
    save(artifact / "model.onnx", [node("Neg", ["x"], ["y"])], [x], [y])
    (artifact / "short").write_bytes(bytes(7))
    sample = {"name": "day", "inputs": {"x": {"file": "short"}}}

    status, said = suite.push("refused", artifact, {"warm_up": {"samples": [sample]}})

    assert 1 == status
    assert "WARM_UP_SAMPLE_INVALID" in said
    assert "has 7 bytes; FP32 [2] has 8" in " ".join(said.split())


def test_a_sample_that_does_not_run_keeps_a_version_from_being_ready(suite: Suite) -> None:
    """It can be right in every way that the registry can see; the replica says which it was."""
    artifact = suite.folder / "words"
    artifact.mkdir()
    x, y = Tensor("x", Datatype.INT64, ["n"]), Tensor("y", Datatype.FP32, ["n"])
    table = [("table", np.arange(10, dtype=np.float32))]
    save(artifact / "model.onnx", [node("Gather", ["table", "x"], ["y"])], [x], [y], table)
    np.save(artifact / "day.npy", np.array([1, 10], np.int64))
    sample = {"name": "monday", "inputs": {"x": {"file": "day.npy"}}}

    status, said = suite.push("words", artifact, {"warm_up": {"samples": [sample]}}, "--wait")

    assert 1 == status
    assert "WARM_UP_FAILED" in said
    assert "of its warm-up sample 'monday'" in " ".join(said.split())
