"""Chooses a version's execution providers, and checks that it got what it asked for.

Decisions only: `Hardware` says what there is, functions say what follows. `hardware()` looks.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import FailedPrecondition
from headrace.state.records import Provider
from headrace_inference.adapters.runtime.cuda_devices import cuda_device_count

_CPU_DEVICE = "cpu"
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"

Options = dict[str, str]
ProviderList = list[tuple[str, Options]]
"""ONNX Runtime's own form: providers with their options, the preferred one first."""

Told = Mapping[Provider, Mapping[str, str]]
"""What a serving config tells the providers, over what they are told anyway."""

_MEMORY_LIMIT = "gpu_mem_limit"

_SHORT_NAMES = {CPU: Provider.CPU, CUDA: Provider.CUDA, TENSORRT: Provider.TENSORRT}
_NEEDED = {Provider.CPU: CPU, Provider.CUDA: CUDA, Provider.TENSORRT: TENSORRT}


@dataclass(frozen=True, slots=True)
class Hardware:
    """The hardware that this process can use: ONNX Runtime's built-in providers, and CUDA devices."""

    providers: tuple[str, ...]
    cuda_devices: int

    @property
    def has_cuda(self) -> bool:
        """Return whether CUDA may be tried: it is built in and there is a device."""
        return CUDA in self.providers and self.cuda_devices > 0

    def devices(self) -> tuple[str, ...]:
        """The devices by name: `cpu`, then `cuda:0` and so on."""
        count = self.cuda_devices if self.has_cuda else 0
        return (_CPU_DEVICE, *(f"cuda:{index}" for index in range(count)))


@dataclass(frozen=True, slots=True)
class DeviceOptions:
    """The options of the GPU providers. A memory limit of 0 is no limit; no cache means no cache."""

    device_id: int = 0
    gpu_memory_limit_bytes: int = 0
    engine_cache: Path | None = None


@functools.cache
def hardware() -> Hardware:
    """Return what there is here."""
    import onnxruntime

    return Hardware(tuple(onnxruntime.get_available_providers()), cuda_device_count())


def devices() -> tuple[str, ...]:
    """The devices of this replica, as its presence names them."""
    return hardware().devices() if cuda_device_count() else (_CPU_DEVICE,)


def load_cuda_libraries() -> None:
    """Load CUDA and cuDNN from the wheels of the `gpu` extra, where those are installed.

    Elsewhere the system's loader finds them, or does not: then ONNX Runtime says which are missing.
    """
    if importlib.util.find_spec("nvidia") is not None:
        import onnxruntime

        onnxruntime.preload_dlls()


def choose(
    asked: Provider, found: Hardware, options: DeviceOptions, told: Told | None = None
) -> ProviderList:
    """The providers to open a session with. Raises FailedPrecondition (PROVIDER_UNAVAILABLE)."""
    told = told or {}
    refuse_what_is_not_there(asked, found)
    cpu: ProviderList = [(CPU, {})]
    if asked is Provider.CPU or not found.has_cuda:
        return cpu
    cuda = (CUDA, cuda_options(options, told.get(Provider.CUDA, {})))
    if asked is Provider.TENSORRT:
        tensorrt = tensorrt_options(options) | dict(told.get(Provider.TENSORRT, {}))
        return [(TENSORRT, tensorrt), cuda, *cpu]
    return [cuda, *cpu]


def refuse_what_is_not_there(asked: Provider, found: Hardware) -> None:
    """AUTO and CPU always pass. Raises FailedPrecondition (PROVIDER_UNAVAILABLE) for what cannot run."""
    if asked in (Provider.AUTO, Provider.CPU):
        return
    if _NEEDED[asked] not in found.providers or CUDA not in found.providers:
        built_in = ", ".join(found.providers)
        raise _unavailable(asked, f"this ONNX Runtime was built with {built_in} only", found)
    if found.cuda_devices == 0:
        raise _unavailable(asked, "the driver shows no CUDA device", found)


def refuse_fallback(asked: Provider, got: Sequence[str], found: Hardware) -> None:
    """ONNX Runtime drops a provider that it cannot load and carries on with the next one.

    Raises FailedPrecondition (PROVIDER_UNAVAILABLE) if the one asked for by name was dropped.
    """
    if asked is Provider.AUTO or _NEEDED[asked] in got:
        return
    problem = "there is a device, but ONNX Runtime could not load the provider's libraries"
    raise _unavailable(asked, problem, found)


def fell_back(asked: Provider, got: Sequence[str], found: Hardware) -> bool:
    """Return whether AUTO wanted the device and runs on the CPU all the same: worth a warning."""
    return asked is Provider.AUTO and found.has_cuda and CUDA not in got


def short_name(provider: str) -> str:
    """`cpu`, `cuda` or `tensorrt`; a provider that Headrace does not choose keeps its own name."""
    return _SHORT_NAMES.get(provider, provider)


def cuda_options(options: DeviceOptions, told: Mapping[str, str] | None = None) -> Options:
    """Return what the CUDA provider is told; of two memory limits the lower holds."""
    told = dict(told or {})
    defaults = {
        "device_id": str(options.device_id),
        # Exhaustive search, the default, tries every algorithm for each new batch size: seconds each.
        "cudnn_conv_algo_search": "HEURISTIC",
        # Doubling, the default, would let one version take memory that the next one needs.
        "arena_extend_strategy": "kSameAsRequested",
        # Separate copy streams are documented to race in some models.
        "do_copy_in_default_stream": "1",
    }
    limits = [options.gpu_memory_limit_bytes, int(told.pop(_MEMORY_LIMIT, "0"))]
    limit = min(filter(None, limits), default=0)
    return defaults | told | ({_MEMORY_LIMIT: str(limit)} if limit else {})


def tensorrt_options(options: DeviceOptions) -> Options:
    """Return what the TensorRT provider is told; engines take minutes to build, hence the cache."""
    told = {"device_id": str(options.device_id)}
    if options.engine_cache is not None:
        cache = str(options.engine_cache)
        told |= {"trt_engine_cache_enable": "True", "trt_engine_cache_path": cache}
        told |= {"trt_timing_cache_enable": "True", "trt_timing_cache_path": cache}
    return told


def _unavailable(asked: Provider, problem: str, found: Hardware) -> FailedPrecondition:
    here = ", ".join(found.devices())
    return FailedPrecondition(
        "PROVIDER_UNAVAILABLE",
        f"the version asks for execution provider '{asked}', but {problem}; this replica has: {here}. "
        f"{_REMEDIES[asked]}",
        facts={"asked": str(asked), "devices": here},
    )


_REMEDIES = {
    Provider.CPU: "Install onnxruntime.",
    Provider.CUDA: "Install headrace[gpu] and a driver on a machine with a GPU, "
    "or push the version with provider 'auto'.",
    Provider.TENSORRT: "Install headrace[gpu], TensorRT and a driver on a machine with a GPU, "
    "or push the version with provider 'auto'.",
}
