"""The runner on a CUDA device gives what it gives on the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.state.records import Batching, Provider, ServingConfig, SessionOptions
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.execution_providers import DeviceOptions, devices, hardware
from tests.unit.inference.runtime.models import Tensor, identity, node, opened, save

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not hardware().has_cuda, reason="no CUDA device"),
]

ON_CUDA = ServingConfig(provider=Provider.CUDA)


def classifier(folder: Path) -> Path:
    """A convolution and a matrix product, of any number of rows."""
    random = np.random.default_rng(3)
    weights: list[tuple[str, Any]] = [
        ("kernel", random.standard_normal((8, 1, 3, 3)).astype(np.float32)),
        ("matrix", random.standard_normal((8 * 6 * 6, 10)).astype(np.float32)),
    ]
    nodes = [
        node("Conv", ["x", "kernel"], ["c"]),
        node("Flatten", ["c"], ["f"]),
        node("MatMul", ["f", "matrix"], ["y"]),
    ]
    x, y = Tensor("x", Datatype.FP32, ["n", 1, 8, 8]), Tensor("y", Datatype.FP32, ["n", 10])
    return save(folder / "model.onnx", nodes, [x], [y], weights)


def test_the_device_is_named() -> None:
    """Presence shows it."""
    assert "cuda:0" in devices()


@pytest.mark.parametrize("provider", [Provider.CUDA, Provider.AUTO])
def test_the_device_agrees_with_the_cpu(tmp_path: Path, provider: Provider) -> None:
    """Every warmed batch size, on both."""
    path = classifier(tmp_path)
    batching = Batching(max_batch_size=8)
    on_device = opened(path, ServingConfig(provider=provider, batching=batching))
    on_cpu = opened(path, ServingConfig(provider=Provider.CPU, batching=batching))
    assert ("cuda", "cpu") == (on_device.provider, on_cpu.provider)
    for rows in (1, 3, 8):
        x = np.random.default_rng(rows).standard_normal((rows, 1, 8, 8)).astype(np.float32)
        np.testing.assert_allclose(on_cpu.run([x])[0], on_device.run([x])[0], rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("datatype", Datatype)
def test_every_datatype_passes_the_device(tmp_path: Path, datatype: Datatype) -> None:
    """Strings stay on the host, and BF16 is read there."""
    runner = opened(identity(tmp_path, datatype), ON_CUDA)
    if datatype is Datatype.BYTES:
        sent: Any = np.array([["a", "ß"]], np.object_)
        assert [[b"a", "ß".encode()]] == runner.run([sent])[0].tolist()
    else:
        sent = np.array([[0, 1], [2, 3]]).astype(NUMPY_DTYPES[datatype])
        np.testing.assert_array_equal(sent, runner.run([sent])[0])


def test_a_version_fits_its_memory_limit(tmp_path: Path) -> None:
    """A version that fits its limit loads and runs."""
    limited = RuntimeDefaults(devices=DeviceOptions(gpu_memory_limit_bytes=64 << 20))
    runner = opened(classifier(tmp_path), ON_CUDA, limited)
    assert "cuda" == runner.provider


def test_a_serving_config_tells_cuda_what_to_do(tmp_path: Path) -> None:
    """Options go over what a replica says, and the device still agrees with the CPU."""
    path = classifier(tmp_path)
    told = {Provider.CUDA: {"cudnn_conv_algo_search": "DEFAULT", "use_tf32": "0"}}
    on_device = opened(path, replace(ON_CUDA, provider_options=told))
    on_cpu = opened(path, ServingConfig(provider=Provider.CPU))
    x = np.random.default_rng(1).standard_normal((2, 1, 8, 8)).astype(np.float32)
    assert "cuda" == on_device.provider
    np.testing.assert_allclose(on_cpu.run([x])[0], on_device.run([x])[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("bound", [True, False])
def test_a_device_is_used_with_and_without_a_binding(tmp_path: Path, bound: bool) -> None:
    """The answers are the same."""
    config = replace(ON_CUDA, session=SessionOptions(io_binding=bound))
    runner = opened(identity(tmp_path, Datatype.FP32), config)
    x = np.array([[1.5, -2.0]], np.float32)
    assert x.tolist() == runner.run([x])[0].tolist()
