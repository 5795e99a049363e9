"""A Triton user moves in: the repository is imported by one command, and tritonclient goes on as before."""

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
import tritonclient.http

from examples.triton_repository.build import build
from headrace.triton.pbtxt import parse_config
from tests.e2e.served import Addresses, serving

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]


@dataclass(frozen=True, slots=True)
class Imported:
    """A suite with an imported repository, and what the command printed of each model."""

    addresses: Addresses
    repository: Path
    models: dict[str, Any]


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Imported]:
    """The example repository, imported into a running suite."""
    folder: Path = tmp_path_factory.mktemp("import")
    build(folder / "models")
    with serving(folder, {}) as addresses:
        status, output, _ = run(addresses, "import", "triton", str(folder / "models"), "--wait")
        assert 1 == status  # for the ensemble
        models = {model["model"]: model for model in json.loads(output)["models"]}
        yield Imported(addresses, folder / "models", models)


def run(addresses: Addresses, *arguments: str) -> tuple[int | None, str, str]:
    """A command's exit status, its output as JSON, and what it wrote to standard error."""
    return asyncio.run(_run(addresses, arguments))


async def _run(addresses: Addresses, arguments: tuple[str, ...]) -> tuple[int | None, str, str]:
    command = (sys.executable, "-m", "headrace.cli", "--json", "--registry", addresses.registry)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, *arguments, stdout=pipe, stderr=pipe)
    output, complaints = await asyncio.wait_for(process.communicate(), 90)
    return process.returncode, output.decode(), complaints.decode()


def scaled(client: Any, module: Any, model: str, version: str = "") -> tuple[float, str]:
    """What a model makes of 1, and the version that did."""
    item = module.InferInput("x", [1, 2], "FP32")
    item.set_data_from_numpy(np.ones((1, 2), np.float32))
    result = client.infer(model, [item], version)
    response = result.get_response()
    number = response["model_version"] if isinstance(response, dict) else response.model_version
    return float(result.as_numpy("y")[0, 0]), number


def test_every_version_answers(imported: Imported) -> None:
    """Over gRPC and HTTP: the highest without a version, and each by the number that was printed."""
    numbers = {
        version["triton_version"]: str(version["number"])
        for version in imported.models["scaler"]["versions"]
    }
    factors = {1: 2.0, 2: 3.0, 10: 4.0}
    clients = (
        (tritonclient.grpc, imported.addresses.grpc),
        (tritonclient.http, imported.addresses.http),
    )
    for module, address in clients:
        with module.InferenceServerClient(address) as client:
            assert (4.0, numbers[10]) == scaled(client, module, "scaler")
            answers = {old: scaled(client, module, "scaler", new) for old, new in numbers.items()}
            assert {old: (factors[old], new) for old, new in numbers.items()} == answers
            assert (4.0, "2") == scaled(client, module, "shared")
            assert (6.0, "1") == scaled(client, module, "bare")


def test_classes_have_their_labels(imported: Imported) -> None:
    """The label file came along: the best classes of a pixel are named."""
    pixel = tritonclient.grpc.InferInput("pixel", [1, 3], "FP32")
    pixel.set_data_from_numpy(np.array([[0.1, 0.9, 0.5]], np.float32))
    output = tritonclient.grpc.InferRequestedOutput("colour", class_count=2)
    with tritonclient.grpc.InferenceServerClient(imported.addresses.grpc) as client:
        classes = client.infer("colours", [pixel], outputs=[output]).as_numpy("colour")

    assert [b"9.000000:1:green", b"5.000000:2:blue"] == classes.ravel().tolist()


def test_the_config_says_what_it_said(imported: Imported) -> None:
    """What tritonclient reads of a version is what its config.pbtxt said."""
    with tritonclient.grpc.InferenceServerClient(imported.addresses.grpc) as client:
        config = client.get_model_config("scaler", as_json=True)["config"]
        labels = client.get_model_config("colours").config.output[0].label_filename

    batching = config["dynamic_batching"]
    policy = batching["default_queue_policy"]
    assert (8, [4, 8], "100") == (
        config["max_batch_size"],
        batching["preferred_batch_size"],
        batching["max_queue_delay_microseconds"],
    )
    assert (500, "5000000") == (policy["max_queue_size"], policy["default_timeout_microseconds"])
    assert (2, "KIND_CPU") == (
        config["instance_group"][0]["count"],
        config["instance_group"][0]["kind"],
    )
    assert 1 == config["optimization"]["graph"]["level"]
    parameters = config["parameters"]
    assert {"headrace.batching", "intra_op_thread_count"} <= set(parameters)
    assert {"string_value": "1"} == parameters["intra_op_thread_count"]
    assert "colour.labels.txt" == labels


def test_what_was_not_taken_over_is_printed(imported: Imported) -> None:
    """The ensemble is refused with its reason, and every field that has no counterpart is named."""
    fields = [each["field"] for each in imported.models["shared"]["not_carried"]]
    assert "TRITON_BACKEND_UNSUPPORTED" == imported.models["pipeline"]["failure"]["reason"]
    assert "response_cache" in fields
    assert [] == imported.models["scaler"]["not_carried"]


def test_a_second_import_changes_nothing(imported: Imported) -> None:
    """The same command again pushes nothing; without the ensemble it ends well."""
    models = ["--model=scaler", "--model=shared", "--model=bare", "--model=colours"]
    status, output, _ = run(
        imported.addresses, "import", "triton", str(imported.repository), *models
    )

    versions = [version for model in json.loads(output)["models"] for version in model["versions"]]
    assert (0, {"unchanged"}) == (status, {version["action"] for version in versions})


def test_a_version_is_exported_for_triton(imported: Imported) -> None:
    """The exported text is a config of the stable version, or of one that is asked for."""
    _, stable, _ = run(imported.addresses, "export-config", "scaler")
    _, first, _ = run(imported.addresses, "export-config", "scaler", "--version", "1")
    configs = [
        parse_config(json.loads(output)["config_pbtxt"], "exported") for output in (stable, first)
    ]

    assert [[3], [1]] == [list(each.version_policy.specific.versions) for each in configs]
    assert ["scaler", "scaler"] == [each.name for each in configs]


def test_a_push_takes_tritons_config(imported: Imported, tmp_path: Path) -> None:
    """`push --config config.pbtxt` serves the version as it says, and names what it cannot."""
    config = tmp_path / "config.pbtxt"
    config.write_text(
        "max_batch_size: 2 instance_group { count: 3 } dynamic_batching { } "
        "response_cache { enable: true }"
    )
    graph = str(imported.repository / "bare" / "1" / "model.onnx")

    pushed = run(imported.addresses, "push", "pushed", graph, "--config", str(config))

    status, output, complaints = pushed
    served = json.loads(output)["config"]
    assert (0, 2, 3) == (status, served["batching"]["max_batch_size"], served["instances"])
    assert complaints.startswith("not carried over: response_cache = {enable: true}: ")


def test_a_wrong_config_is_refused_with_its_place(imported: Imported, tmp_path: Path) -> None:
    """A text that is no config is named with line and column, and nothing is pushed."""
    config = tmp_path / "config.pbtxt"
    config.write_text('name: "m"\nmax_batch: 3\n')
    graph = str(imported.repository / "bare" / "1" / "model.onnx")

    pushed = run(imported.addresses, "push", "refused", graph, "--config", str(config))

    status, output, complaints = pushed
    error = json.loads(complaints)["error"]
    assert (1, "", "CONFIG_PBTXT_INVALID") == (status, output, error["reason"])
    assert f"{config}:2:1: " in error["message"]
