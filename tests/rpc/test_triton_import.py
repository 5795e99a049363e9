"""Importing Triton's models into a real registry: what is pushed, what is there, what cannot be."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from examples.triton_repository.build import build
from headrace import errors
from headrace.cli import app
from headrace.client import AsyncClient
from headrace.state.records import (
    Batching,
    DeclaredShape,
    GraphOptimization,
    Provider,
    QueuePolicy,
    Sample,
    SampleInput,
    SyntheticData,
)
from headrace.triton.importing import ImportedModel, import_model
from headrace.triton.pbtxt import parse_config
from headrace.triton.repository import model_folders, read_model, version_files
from headrace.triton.to_model_config import config_for_triton
from headrace_registry.app import open_registry
from tests.rpc.client_fixtures import settings_for
from tests.rpc.registry_fixtures import onnx_file, settings
from tests.rpc.test_inference_reshape import doubling


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A model repository."""
    build(tmp_path / "repository")
    return tmp_path / "repository"


@asynccontextmanager
async def open_suite(redis_url: str, namespace: str, data: Path) -> AsyncIterator[AsyncClient]:
    """A client of a registry of its own, while inside."""
    chosen = settings(redis_url, namespace, data)
    async with open_registry(chosen, asyncio.Event()) as registry:
        port = int(registry.grpc_address.rpartition(":")[2])
        async with AsyncClient(settings=settings_for(port, timeout_seconds=20.0)) as client:
            yield client


def became(imported: ImportedModel) -> list[tuple[int, str, int]]:
    """Of each version its number in Triton, what was done, and its number here."""
    return [(each.triton_version, each.action, each.number) for each in imported.versions]


async def test_versions_come_in_order_and_the_highest_answers(
    redis_url: str, namespace: str, repository: Path, tmp_path: Path
) -> None:
    """All versions that the policy selects are pushed and stay loaded, with the config, digests as said."""
    async with open_suite(redis_url, namespace, tmp_path / "data") as client:
        imported = await import_model(client, repository / "scaler")
        model = await client.model("scaler")
        versions = await client.versions("scaler")

    assert [(1, "pushed", 1), (2, "pushed", 2), (10, "pushed", 3)] == became(imported)
    assert (3, 3, ()) == (imported.stable, model.keep_latest, imported.not_carried)
    assert [each.digest for each in imported.versions] == [each.digest for each in versions[::-1]]
    assert "version 10 of a Triton model repository" == versions[0].description
    config = versions[0].config
    assert [config] * 3 == [each.config for each in versions]
    assert Batching(8, 100, (4, 8)) == config.batching
    assert (QueuePolicy(500, 5_000_000), 2, Provider.CPU) == (
        config.queue,
        config.instances,
        config.provider,
    )
    assert (1, GraphOptimization.EXTENDED) == (
        config.session.intra_op_threads,
        config.session.graph_optimization,
    )


async def test_an_import_can_be_repeated(
    redis_url: str, namespace: str, repository: Path, tmp_path: Path
) -> None:
    """What is there is not pushed again, and a route that people moved meanwhile stays."""
    async with open_suite(redis_url, namespace, tmp_path / "data") as client:
        await import_model(client, repository / "scaler")
        await client.set_route("scaler", 1)
        imported = await import_model(client, repository / "scaler")

    assert [(1, "unchanged", 1), (2, "unchanged", 2), (10, "unchanged", 3)] == became(imported)
    assert 1 == imported.stable


async def test_a_new_config_or_graph_makes_a_version(
    redis_url: str, namespace: str, repository: Path, tmp_path: Path
) -> None:
    """A version whose graph or config changed in the repository is pushed anew, and answers."""
    folder = repository / "bare"
    async with open_suite(redis_url, namespace, tmp_path / "data") as client:
        first = await import_model(client, folder)
        (folder / "config.pbtxt").write_text("instance_group { count: 3 }")
        second = await import_model(client, folder)
        shutil.copytree(repository / "scaler" / "2", folder / "2")
        third = await import_model(client, folder)
        config = (await client.version("bare", 2)).config
        (folder / "config.pbtxt").write_text(
            "max_batch_size: 8 dynamic_batching { preferred_batch_size: 8 }"
        )
        await import_model(client, folder)
        (folder / "config.pbtxt").write_text("max_batch_size: 4")
        fifth = await import_model(client, folder)

    assert [(1, "pushed", 1)] == became(first)
    assert ([(1, "pushed", 2)], 2, 3) == (became(second), second.stable, config.instances)
    assert ([(2, "pushed", 3)], 3) == (became(third), third.stable)
    assert ([(2, "pushed", 5)], 5) == (became(fifth), fifth.stable)


async def test_a_route_stays_where_an_import_would_break_its_callers(
    redis_url: str, namespace: str, repository: Path, tmp_path: Path
) -> None:
    """A version of another signature is pushed; the route moves to it only where that is allowed."""
    graph = repository / "scaler" / "10" / "model.onnx"
    async with open_suite(redis_url, namespace, tmp_path / "data") as client:
        await import_model(client, repository / "scaler")
        graph.write_bytes(onnx_file())
        kept = await import_model(client, repository / "scaler")
        graph.write_bytes(onnx_file(2.0))
        moved = await import_model(client, repository / "scaler", allow_signature_change=True)

    assert kept.failure is not None
    assert kept.failed
    assert ("SIGNATURE_CHANGED", 3) == (kept.failure.reason, kept.stable)
    assert [(1, "unchanged", 1), (2, "unchanged", 2), (10, "pushed", 4)] == became(kept)
    assert (None, 5) == (moved.failure, moved.stable)


async def test_reshapes_are_carried_over(
    redis_url: str, namespace: str, repository: Path, tmp_path: Path
) -> None:
    """The signature has the shapes of the config, which is exported as it was; again it is unchanged."""
    folder = repository / "bare"
    (folder / "config.pbtxt").write_text(
        "max_batch_size: 8 "
        'input { name: "x" data_type: TYPE_FP32 dims: [ 2, 2 ] reshape { shape: [ 4 ] } } '
        'output { name: "y" data_type: TYPE_FP32 dims: [ 4, 1 ] reshape { shape: [ 4 ] } }'
    )
    (folder / "1" / "model.onnx").write_bytes(doubling(["n", 4], ["n", 4]))
    async with open_suite(redis_url, namespace, tmp_path / "data") as client:
        imported = await import_model(client, folder)
        again = await import_model(client, folder)
        version = await client.version("bare", 1)

    assert ([(1, "pushed", 1)], [(1, "unchanged", 1)]) == (became(imported), became(again))
    assert ["dynamic_batching"] == [each.field for each in imported.not_carried]
    assert (-1, 2, 2) == version.signature.inputs[0].shape
    assert (-1, 4, 1) == version.signature.outputs[0].shape
    assert DeclaredShape((2, 2), (4,)) == version.config.shapes.inputs["x"]
    exported = parse_config(config_for_triton(version), "exported")
    assert ([2, 2], [4]) == (
        list(exported.input[0].dims),
        list(exported.input[0].reshape.shape),
    )


async def test_a_graph_without_ranks_has_those_of_the_config(
    redis_url: str, namespace: str, repository: Path, tmp_path: Path
) -> None:
    """It can batch then; imported again it is unchanged."""
    folder = repository / "bare"
    (folder / "config.pbtxt").write_text(
        'max_batch_size: 8 input { name: "x" data_type: TYPE_FP32 dims: 4 } '
        'output { name: "y" data_type: TYPE_FP32 dims: 4 } dynamic_batching { }'
    )
    (folder / "1" / "model.onnx").write_bytes(doubling(None, None))
    async with open_suite(redis_url, namespace, tmp_path / "data") as client:
        imported = await import_model(client, folder)
        again = await import_model(client, folder)
        version = await client.version("bare", 1)

    assert ([(1, "pushed", 1)], [(1, "unchanged", 1)]) == (became(imported), became(again))
    assert ((-1, 4), (-1, 4)) == (
        version.signature.inputs[0].shape,
        version.signature.outputs[0].shape,
    )
    assert 8 == version.config.batching.max_batch_size


async def test_labels_and_external_data_travel(
    redis_url: str, namespace: str, repository: Path, tmp_path: Path
) -> None:
    """The files that config and graph name are in the version, links among them followed."""
    labels = repository / "colours" / "colours.txt"
    labels.rename(repository / "elsewhere.txt")
    labels.symlink_to(repository / "elsewhere.txt")
    async with open_suite(redis_url, namespace, tmp_path / "data") as client:
        imported = await import_model(client, repository / "colours")
        version = await client.version("colours", 1)

    assert [(1, "pushed", 1)] == became(imported)
    assert () == imported.not_carried
    paths = [file.path for file in version.files]
    assert ["colour.labels.txt", "model.onnx", "weights.bin"] == sorted(paths)


SAMPLES = """
max_batch_size: 8
parameters { key: "enable_mem_arena" value { string_value: "0" } }
model_warmup { name: "day" count: 2 inputs { key: "x" value {
  data_type: TYPE_FP32 dims: 2 input_data_file: "monday/row" } } }
model_warmup { name: "noise" inputs { key: "x" value {
  data_type: TYPE_FP32 dims: 2 random_data: true } } }
"""


async def test_samples_travel_with_their_files(
    redis_url: str, namespace: str, repository: Path, tmp_path: Path
) -> None:
    """The values of given samples are in the version, under the paths that its config names."""
    folder = repository / "bare"
    row = folder / "warmup" / "monday" / "row"
    row.parent.mkdir(parents=True)
    row.write_bytes(bytes(8))
    (folder / "config.pbtxt").write_text(SAMPLES)
    async with open_suite(redis_url, namespace, tmp_path / "data") as client:
        imported = [await import_model(client, folder) for _ in range(2)]
        version = await client.version("bare", 1)
        row.write_bytes(bytes(9))
        wrong = await import_model(client, folder)
        row.unlink()
        gone = await import_model(client, folder)

    assert ["pushed", "unchanged"] == [each.versions[0].action for each in imported]
    assert () == imported[0].not_carried
    assert ["model.onnx", "warmup/monday/row"] == sorted(file.path for file in version.files)
    expected = (
        Sample("day", {"x": SampleInput("warmup/monday/row", shape=(2,))}, 2),
        Sample("noise", {"x": SampleInput(data=SyntheticData.RANDOM, shape=(2,))}),
    )
    assert expected == version.config.warm_up.samples
    assert not version.config.session.cpu_memory_arena
    reasons = [each.versions[0].failure for each in (wrong, gone)]
    assert ["WARM_UP_SAMPLE_INVALID", "TRITON_MODEL_INVALID"] == [
        failure.reason for failure in reasons if failure
    ]


async def test_a_version_that_is_refused_keeps_no_other_back(
    redis_url: str, namespace: str, repository: Path, tmp_path: Path
) -> None:
    """A broken graph and a missing one are reported; the highest that was pushed answers."""
    folder = repository / "scaler"
    (folder / "2" / "model.onnx").write_bytes(b"no graph")
    (folder / "10" / "model.onnx").unlink()
    async with open_suite(redis_url, namespace, tmp_path / "data") as client:
        imported = await import_model(client, folder)

    assert [(1, "pushed", 1), (2, "failed", 0), (10, "failed", 0)] == became(imported)
    reasons = [each.failure.reason for each in imported.versions if each.failure]
    assert ["MODEL_REFUSED", "TRITON_VERSION_NOT_FOUND"] == reasons
    assert (True, 1) == (imported.failed, imported.stable)


async def test_a_model_that_is_refused_whole_leaves_nothing(
    redis_url: str, namespace: str, repository: Path, tmp_path: Path
) -> None:
    """No model is made for one whose name is none here, or whose only version is refused."""
    (repository / "bare" / "1" / "model.onnx").write_bytes(b"no graph")
    (repository / "colours").rename(repository / "bad name")
    async with open_suite(redis_url, namespace, tmp_path / "data") as client:
        broken = await import_model(client, repository / "bare")
        unnamed = await import_model(client, repository / "bad name")
        models = await client.models()

    assert [] == models
    assert (0, True) == (broken.stable, broken.failed)
    assert unnamed.failure is not None
    assert "MODEL_NAME_INVALID" == unnamed.failure.reason


async def test_a_registry_that_is_away_ends_the_import(repository: Path) -> None:
    """That says nothing about the model, so it is no failure of it."""
    async with AsyncClient(settings=settings_for(1, timeout_seconds=2.0)) as client:
        with pytest.raises(errors.Unavailable):
            await import_model(client, repository / "scaler")


async def test_without_a_registry_it_says_what_it_would_do(repository: Path) -> None:
    """A rehearsal reads the repository, and lists what will not be carried over."""
    imported = await import_model(None, repository / "shared")

    assert [(2, "to push", 0), (3, "to push", 0)] == became(imported)
    assert [
        'metric_tags["team"]',
        "response_cache",
    ] == [each.field for each in imported.not_carried]


async def test_files_that_nothing_names_are_listed(repository: Path) -> None:
    """What lies beside a graph and is not packed does not get lost in silence."""
    (repository / "bare" / "1" / "tokenizer.json").write_text("{}")

    imported = await import_model(None, repository / "bare")

    assert ["1/tokenizer.json"] == [each.field for each in imported.not_carried]


async def test_a_graph_may_have_another_name(repository: Path) -> None:
    """default_model_filename names a file, or a folder with model.onnx in it."""
    folder = repository / "bare"
    (folder / "config.pbtxt").write_text('default_model_filename: "net"')
    net, graph = folder / "1" / "net", folder / "1" / "model.onnx"
    graph.rename(net)
    assert {"model.onnx": net} == version_files(read_model(folder), 1)

    net.rename(graph)
    net.mkdir()
    graph.rename(net / "model.onnx")
    assert {"model.onnx": net / "model.onnx"} == version_files(read_model(folder), 1)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ('name: "other"', "TRITON_MODEL_INVALID"),
        ("name: ", "CONFIG_PBTXT_INVALID"),
        ('backend: "python"', "TRITON_BACKEND_UNSUPPORTED"),
        ('platform: "pytorch_libtorch"', "TRITON_BACKEND_UNSUPPORTED"),
        ("version_policy { specific { versions: 7 } }", "TRITON_VERSION_NOT_FOUND"),
    ],
)
async def test_models_that_cannot_be_read(repository: Path, config: str, expected: str) -> None:
    """A row each: a config, and why the model is not imported."""
    (repository / "bare" / "config.pbtxt").write_text(config)

    imported = await import_model(None, repository / "bare")

    assert imported.failure is not None
    assert expected == imported.failure.reason


@pytest.mark.parametrize(
    "config",
    [
        'default_model_filename: "../../scaler/1/model.onnx"',
        'default_model_filename: "/etc/passwd"',
        f'default_model_filename: "{"n" * 300}"',
        'output { name: "y" label_filename: "../colours/colours.txt" }',
        'output { name: "y" label_filename: "gone.txt" }',
    ],
)
async def test_files_stay_inside_the_model(repository: Path, config: str) -> None:
    """A row each: a config that names a file elsewhere, or one that cannot be; its version is refused."""
    (repository / "bare" / "config.pbtxt").write_text(config)

    imported = await import_model(None, repository / "bare")

    (version,) = imported.versions
    assert version.failure is not None
    assert "TRITON_MODEL_INVALID" == version.failure.reason


def test_models_can_be_chosen(repository: Path) -> None:
    """All folders but hidden ones are models; names that are not there are refused."""
    (repository / ".git").mkdir()
    all_names = [folder.name for folder in model_folders(repository)]
    assert ["bare", "colours", "pipeline", "scaler", "shared"] == all_names
    assert [repository / "bare"] == model_folders(repository, ("bare",))
    with pytest.raises(errors.NotFound, match="its models are: bare, colours"):
        model_folders(repository, ("bare", "gone"))


def test_the_command_prints_a_table_or_a_document(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rehearsal of the whole repository ends with 1 for the ensemble, of one model with 0."""
    assert 1 == app.run(["import", "triton", str(repository), "--dry-run"])
    text = capsys.readouterr().out
    assert 0 == app.run(
        ["--json", "import", "triton", str(repository), "--dry-run", "--model", "scaler"]
    )
    document: dict[str, Any] = json.loads(capsys.readouterr().out)

    words = [line.split() for line in text.splitlines()]
    assert ["scaler", "10", "-", "to", "push"] in [line[:5] for line in words]
    assert "  not carried over: response_cache = {enable: true}: there is no response cache" in text
    assert "pipeline: not imported: model 'pipeline' is an ensemble of scaler, shared" in text
    (model,) = document["models"]
    assert ("scaler", [1, 2, 10]) == (
        model["model"],
        [version["triton_version"] for version in model["versions"]],
    )
