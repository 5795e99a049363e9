"""What a push may ask of the session and of the warm-up, checked against the artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from onnx import helper

from headrace import errors
from headrace.datatypes import Datatype, to_wire
from headrace.type.v1 import serving_config_pb2
from tests.operator_library import LIBRARY, operator_folder, shouting
from tests.rpc.registry_fixtures import (
    error_of,
    graph_file,
    onnx_file,
    push,
    running_registry,
    zip_of,
)
from tests.unit.inference.runtime.models import Tensor, node

Json = dict[str, Any]

FILES = {
    "model.onnx": onnx_file(),
    "warmup/row": to_wire(np.zeros(4, np.float32)),
    "warmup/short": to_wire(np.zeros(3, np.float32)),
}
WHOLE: Json = {
    "session": {
        "execution_mode": "EXECUTION_MODE_PARALLEL",
        "cpu_memory_arena": False,
        "memory_pattern": False,
        "io_binding": True,
    },
    "warm_up": {
        "data": "MADE_UP_DATA_RANDOM",
        "samples": [
            {"name": "file", "runs": 2, "inputs": {"x": {"file": "warmup/row"}}},
            {"inputs": {"x": {"data": "MADE_UP_DATA_RANDOM", "shape": [4]}}},
        ],
    },
    "provider_options": {
        "cpu": {"session.dynamic_block_base": "4"},
        "cuda": {"use_tf32": "0", "gpu_mem_limit": "1000000"},
        "tensorrt": {"trt_fp16_enable": "True", "trt_profile_min_shapes": "x:1x4,y:1x4"},
    },
}


def header(config: Json) -> Json:
    """What a push announces of its serving config."""
    proto = serving_config_pb2.ServingConfig()
    return {"serving_config": json_format.ParseDict(config, proto)}


def sample(values: Json) -> Json:
    """A config with one sample, whose only input is this."""
    return {"warm_up": {"samples": [{"name": "day", "inputs": {"x": values}}]}}


def two_lengths() -> bytes:
    """A graph of rows whose length is free, too."""
    x, y = (Tensor(name, Datatype.FP32, ["n", "length"]) for name in "xy")
    return graph_file(_graph([node("Relu", ["x"], ["y"])], [x], [y]))


def _graph(nodes: list[Any], inputs: list[Tensor], outputs: list[Tensor]) -> Any:
    return helper.make_graph(
        nodes, "graph", [each.info() for each in inputs], [each.info() for each in outputs]
    )


async def test_a_whole_config_is_kept(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """What was asked for comes back from the registry, with the names of what had none."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        version = await push(running, zip_of(FILES), filename="m.zip", header=header(WHOLE))
    kept = json_format.MessageToDict(version.serving_config, preserving_proto_field_name=True)
    assert WHOLE["session"].items() <= kept["session"].items()
    assert WHOLE["provider_options"] == kept["provider_options"]
    first, second = kept["warm_up"]["samples"]
    assert WHOLE["warm_up"]["samples"][0] == first
    assert ("1", 1) == (second["name"], second["runs"])


async def test_the_signature_has_the_sizes_that_were_fixed(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Of inputs and outputs; a version whose batch dimension is fixed does not batch."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        fixed = {"session": {"free_dimensions": {"length": "7"}}}
        version = await push(running, two_lengths(), header=header(fixed))
        both = {"session": {"free_dimensions": {"length": "7", "n": "2"}}}
        whole = await push(running, two_lengths(), header=header(both))
    for spec in (*version.signature.inputs, *version.signature.outputs):
        assert ([-1, 7], ["n", ""]) == (list(spec.shape), list(spec.dim_names))
    assert 64 == version.serving_config.batching.max_batch_size
    assert [2, 7] == list(whole.signature.outputs[0].shape)
    assert 0 == whole.serving_config.batching.max_batch_size


REFUSED: list[tuple[str, str, Json]] = [
    (
        "FREE_DIMENSION_UNKNOWN",
        "'lenght'; named ones are: 'batch'",
        {"session": {"free_dimensions": {"lenght": 7}}},
    ),
    (
        "SERVING_CONFIG_INVALID",
        "free_dimensions['batch']: 0 is not between 1 and 2147483647",
        {"session": {"free_dimensions": {"batch": 0}}},
    ),
    (
        "BATCHING_IMPOSSIBLE",
        "the first dimension of 'x' is fixed to 3",
        {"session": {"free_dimensions": {"batch": 3}}, "batching": {"max_batch_size": 8}},
    ),
    (
        "CUSTOM_OPERATORS_UNAVAILABLE",
        "this service has no folder of such libraries",
        {"session": {"custom_operators": ["liboperators.so"]}},
    ),
    *(
        (
            "SERVING_CONFIG_INVALID",
            "libraries are taken only from the folder of the setting custom_operators",
            {"session": {"custom_operators": [name]}},
        )
        for name in ("/lib/evil.so", "../evil.so", "a\\b.so", "..", "", "a\0.so", "x" * 256)
    ),
    (
        "SERVING_CONFIG_INVALID",
        "'trt_engine_cache_path' cannot be set; these can: trt_auxiliary_streams",
        {"provider_options": {"tensorrt": {"trt_engine_cache_path": "/etc"}}},
    ),
    (
        "SERVING_CONFIG_INVALID",
        "cuda['gpu_mem_limit']: '-1' is not a number of bytes",
        {"provider_options": {"cuda": {"gpu_mem_limit": "-1"}}},
    ),
    (
        "SERVING_CONFIG_INVALID",
        "'device_id' cannot be set",
        {"provider_options": {"cuda": {"device_id": "1"}}},
    ),
    (
        "WARM_UP_SAMPLE_INVALID",
        "'warmup/short' has 12 bytes; FP32 [4] has 16",
        sample({"file": "warmup/short"}),
    ),
    ("WARM_UP_SAMPLE_INVALID", "there is no file 'gone'", sample({"file": "gone"})),
    (
        "WARM_UP_SAMPLE_INVALID",
        "its shape is [5]; one row without the batch dimension has [4]",
        sample({"data": "MADE_UP_DATA_ZEROS", "shape": [5]}),
    ),
    (
        "WARM_UP_SAMPLE_INVALID",
        "gives the inputs none, not the inputs 'x'",
        {"warm_up": {"samples": [{"name": "day"}]}},
    ),
    ("SERVING_CONFIG_INVALID", "says neither data nor a file", sample({"shape": [4]})),
    (
        "SERVING_CONFIG_INVALID",
        "'../../etc/passwd' is not a path inside the artifact",
        sample({"file": "../../etc/passwd"}),
    ),
    ("SERVING_CONFIG_INVALID", "is not a path inside", sample({"file": "/etc/passwd"})),
    (
        "SERVING_CONFIG_INVALID",
        "101 samples are more than 100",
        {"warm_up": {"samples": [{"name": "day"}] * 101}},
    ),
]


async def test_what_cannot_be_is_refused_and_leaves_nothing(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Each with its reason and what was expected; the numbers of versions have no gap after them."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        for reason, text, config in REFUSED:
            refused = push(running, zip_of(FILES), filename="m.zip", header=header(config))
            error = await error_of(refused)
            assert (reason, text in error.message) == (error.reason, True), error.message
            if reason == "SERVING_CONFIG_INVALID":
                assert error.violations
        version = await push(running, zip_of(FILES), filename="m.zip")
    assert 1 == version.number


async def test_a_config_with_thousands_of_mistakes_is_answered_in_short(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """An error travels in a trailer, which has little room; a task may be long all the same."""
    wrong = {f"d{index}": 0 for index in range(5000)}
    names = {"x" * 200 + str(index): {"data": 1} for index in range(2000)}
    long = {"warm_up": {"samples": [{"name": "day", "inputs": names}]}}
    async with running_registry(redis_url, namespace, tmp_path) as running:
        config = header({"session": {"free_dimensions": wrong}})
        error = await error_of(push(running, onnx_file(), header=config))
        assert (20, "SERVING_CONFIG_INVALID") == (len(error.violations), error.reason)
        error = await error_of(push(running, onnx_file(), header=header(long)))
    assert "WARM_UP_SAMPLE_INVALID" == error.reason
    assert 4000 > len(error.message)


async def test_texts_cannot_be_bound(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """A binding takes no strings, so a version with BYTES inputs is not pushed with one."""
    x, y = (Tensor(name, Datatype.BYTES, ["n"]) for name in "xy")
    artifact = graph_file(_graph([node("Identity", ["x"], ["y"])], [x], [y]))
    async with running_registry(redis_url, namespace, tmp_path) as running:
        config = header({"session": {"io_binding": True}})
        error = await error_of(push(running, artifact, header=config))
    assert "IO_BINDING_IMPOSSIBLE" == error.reason


@pytest.mark.parametrize("there", [True, False])
async def test_operators_are_taken_from_the_folder_of_the_setting(
    redis_url: str, namespace: str, tmp_path: Path, there: bool
) -> None:
    """With its library a graph of custom operators is checked; without, the refusal names the setting."""
    folder = operator_folder(tmp_path / "operators")
    (folder / "broken.so").write_bytes(b"no library")
    names = [LIBRARY] if there else ["other.so"]
    changes = {"custom_operators": folder}
    async with running_registry(redis_url, namespace, tmp_path / "data", **changes) as running:
        asked = header({"session": {"custom_operators": names}})
        if there:
            assert 1 == (await push(running, shouting(), header=asked)).number
            asked = header({"session": {"custom_operators": ["broken.so"]}})
        error = await error_of(push(running, shouting(), header=asked))
        without = await error_of(push(running, shouting()))
    assert isinstance(error, errors.FailedPrecondition)
    assert "CUSTOM_OPERATORS_UNAVAILABLE" == error.reason
    assert "setting custom_operators" in error.message or "set custom_operators" in error.message
    assert "MODEL_REFUSED" == without.reason
