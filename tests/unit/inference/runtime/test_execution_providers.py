"""Which execution provider a version gets on which machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.errors import FailedPrecondition
from headrace.state.records import Provider
from headrace_inference.adapters.runtime import execution_providers as providers
from headrace_inference.adapters.runtime.cuda_devices import cuda_device_count
from headrace_inference.adapters.runtime.execution_providers import (
    CPU,
    CUDA,
    TENSORRT,
    DeviceOptions,
    Hardware,
)

GPU_BUILD = (TENSORRT, CUDA, CPU)
WITH_DEVICE = Hardware(GPU_BUILD, cuda_devices=2)
WITHOUT_DEVICE = Hardware(GPU_BUILD, cuda_devices=0)
CPU_BUILD = Hardware((CPU,), cuda_devices=1)
NO_TENSORRT = Hardware((CUDA, CPU), cuda_devices=1)


@pytest.mark.parametrize(
    ("asked", "found", "expected"),
    [
        (Provider.AUTO, WITH_DEVICE, [CUDA, CPU]),
        (Provider.AUTO, WITHOUT_DEVICE, [CPU]),
        (Provider.AUTO, CPU_BUILD, [CPU]),
        (Provider.CPU, WITH_DEVICE, [CPU]),
        (Provider.CPU, CPU_BUILD, [CPU]),
        (Provider.CUDA, WITH_DEVICE, [CUDA, CPU]),
        (Provider.TENSORRT, WITH_DEVICE, [TENSORRT, CUDA, CPU]),
    ],
)
def test_providers_follow_from_what_is_asked_and_what_is_there(
    asked: Provider, found: Hardware, expected: list[str]
) -> None:
    """AUTO takes CUDA where there is a device; TensorRT is opt-in and has CUDA and the CPU behind it."""
    assert expected == [name for name, _ in providers.choose(asked, found, DeviceOptions())]


@pytest.mark.parametrize(
    ("asked", "found", "problem"),
    [
        (Provider.CUDA, WITHOUT_DEVICE, "the driver shows no CUDA device"),
        (Provider.TENSORRT, WITHOUT_DEVICE, "the driver shows no CUDA device"),
        (Provider.CUDA, CPU_BUILD, "was built with CPUExecutionProvider only"),
        (Provider.TENSORRT, NO_TENSORRT, "was built with CUDAExecutionProvider"),
    ],
)
def test_a_provider_that_is_not_there_is_refused(
    asked: Provider, found: Hardware, problem: str
) -> None:
    """The error says what was asked, what there is, and what to do."""
    with pytest.raises(FailedPrecondition) as caught:
        providers.choose(asked, found, DeviceOptions())
    assert "PROVIDER_UNAVAILABLE" == caught.value.reason
    assert f"provider '{asked}'" in caught.value.message
    assert problem in caught.value.message
    assert "headrace[gpu]" in caught.value.message
    assert {"asked": str(asked), "devices": ", ".join(found.devices())} == caught.value.facts


@pytest.mark.parametrize(
    ("asked", "got"),
    [(Provider.CUDA, [CPU]), (Provider.TENSORRT, [CUDA, CPU]), (Provider.TENSORRT, [CPU])],
)
def test_a_provider_that_the_runtime_dropped_is_refused(asked: Provider, got: list[str]) -> None:
    """ONNX Runtime opens the session without a provider whose libraries are missing; we do not."""
    with pytest.raises(FailedPrecondition, match="could not load the provider's libraries"):
        providers.refuse_fallback(asked, got, WITH_DEVICE)


@pytest.mark.parametrize(
    ("asked", "got", "found", "expected"),
    [
        (Provider.AUTO, [CPU], WITH_DEVICE, True),
        (Provider.AUTO, [CUDA, CPU], WITH_DEVICE, False),
        (Provider.AUTO, [CPU], WITHOUT_DEVICE, False),
        (Provider.CPU, [CPU], WITH_DEVICE, False),
        (Provider.TENSORRT, [TENSORRT, CUDA, CPU], WITH_DEVICE, False),
    ],
)
def test_auto_falls_back_and_it_is_noticed(
    asked: Provider, got: list[str], found: Hardware, expected: bool
) -> None:
    """AUTO is never refused; only where there is a device that it could not use is it a fall-back."""
    providers.refuse_fallback(asked, got, found)
    assert expected == providers.fell_back(asked, got, found)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (WITH_DEVICE, ("cpu", "cuda:0", "cuda:1")),
        (WITHOUT_DEVICE, ("cpu",)),
        (CPU_BUILD, ("cpu",)),
    ],
)
def test_devices_are_those_that_can_be_used(found: Hardware, expected: tuple[str, ...]) -> None:
    """A device without a provider, or a provider without a device, is none."""
    assert expected == found.devices()


def test_cuda_is_told_what_a_server_needs() -> None:
    """Algorithms by heuristic, an arena that grows by what is asked, a limit only where one is set."""
    expected = {
        "device_id": "1",
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "do_copy_in_default_stream": "1",
    }
    assert expected == providers.cuda_options(DeviceOptions(device_id=1))
    limited = DeviceOptions(device_id=1, gpu_memory_limit_bytes=1 << 30)
    assert expected | {"gpu_mem_limit": "1073741824"} == providers.cuda_options(limited)


def test_tensorrt_keeps_its_engines_where_it_is_told() -> None:
    """Without a folder nothing is cached."""
    assert {"device_id": "0"} == providers.tensorrt_options(DeviceOptions())
    told = providers.tensorrt_options(DeviceOptions(engine_cache=Path("/cache")))
    assert ("True", "/cache") == (told["trt_engine_cache_enable"], told["trt_engine_cache_path"])


def test_a_serving_config_is_over_what_a_replica_says() -> None:
    """By provider; CUDA's options hold below TensorRT, too, and the device stays the replica's choice."""
    told = {
        Provider.CPU: {"session.dynamic_block_base": "4"},
        Provider.CUDA: {"cudnn_conv_algo_search": "EXHAUSTIVE", "use_tf32": "0"},
        Provider.TENSORRT: {"trt_fp16_enable": "True"},
    }
    options = DeviceOptions(device_id=1)
    chosen = dict(providers.choose(Provider.TENSORRT, WITH_DEVICE, options, told))
    assert {"device_id": "1", "trt_fp16_enable": "True"} == chosen[TENSORRT]
    assert ("EXHAUSTIVE", "0", "1") == tuple(
        chosen[CUDA][name] for name in ("cudnn_conv_algo_search", "use_tf32", "device_id")
    )
    assert {} == chosen[CPU]


@pytest.mark.parametrize(
    ("replica", "version", "expected"),
    [(0, "5", "5"), (9, "5", "5"), (4, "5", "4"), (4, None, "4"), (0, None, None), (4, "0", "4")],
)
def test_the_lower_limit_of_memory_holds(
    replica: int, version: str | None, expected: str | None
) -> None:
    """A version cannot take more of a device than its replica allows."""
    told = {} if version is None else {"gpu_mem_limit": version}
    options = providers.cuda_options(DeviceOptions(gpu_memory_limit_bytes=replica), told)
    assert expected == options.get("gpu_mem_limit")


@pytest.mark.parametrize(
    ("provider", "expected"),
    [(CPU, "cpu"), (CUDA, "cuda"), (TENSORRT, "tensorrt"), ("CoreMLExecutionProvider",) * 2],
)
def test_providers_have_short_names(provider: str, expected: str) -> None:
    """What the model's metadata shows."""
    assert expected == providers.short_name(provider)


@pytest.mark.parametrize("driver", ["libno-such-driver.so.1", "libc.so.6"])
def test_no_driver_means_no_device(driver: str) -> None:
    """Neither a library that is missing nor one that is no driver is an error."""
    assert 0 == cuda_device_count(driver)


def test_this_machine_has_a_cpu() -> None:
    """Whatever else there is."""
    assert "cpu" == providers.devices()[0]
