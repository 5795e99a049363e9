"""Converts the provider options of a serving config; only known options are taken.

An option is known where it changes how a version computes or what memory it takes. Those are left out that
name files (engine caches, calibration tables, plug-ins), that choose the device or a stream, which are the
replica's to choose, that hold for one run at a time only, as CUDA graphs do, and that change the whole
process, as setting denormals to zero does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.conversion.reading import Reader
from headrace.state.records import Provider
from headrace.type.v1 import serving_config_pb2
from headrace.type.v1.serving_config_pb2 import ServingConfig as ConfigMessage

_Message = serving_config_pb2.ServingConfig.ProviderOptions
Options = Mapping[Provider, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Values:
    """The values that an option takes: as people read it, and as a regular expression."""

    told: str
    pattern: str

    def take(self, value: str) -> bool:
        """Return whether this is one."""
        return re.fullmatch(self.pattern, value) is not None


def _one_of(*values: str) -> Values:
    return Values(" or ".join(values), "|".join(values))


_SWITCH = _one_of("0", "1")
_TRUTH = _one_of("True", "False")
_BYTES = Values("a number of bytes", "[0-9]{1,20}")
_NUMBER = Values("a whole number", "[0-9]{1,6}")
_SHAPES = Values(
    "INPUT:1x3x224,…", r"[^\s,:]{1,200}:[0-9]+(x[0-9]+)*(,[^\s,:]{1,200}:[0-9]+(x[0-9]+)*){0,31}"
)
_OPERATORS = Values("Op,Op,…", "[A-Za-z0-9_]{1,80}(,[A-Za-z0-9_]{1,80}){0,63}")

KNOWN: Mapping[Provider, Mapping[str, Values]] = {
    Provider.CPU: {
        "mlas.enable_gemm_fastmath_arm64_bfloat16": _SWITCH,
        "optimization.enable_gelu_approximation": _SWITCH,
        "session.disable_prepacking": _SWITCH,
        "session.dynamic_block_base": _NUMBER,
    },
    Provider.CUDA: {
        "arena_extend_strategy": _one_of("kNextPowerOfTwo", "kSameAsRequested"),
        "cudnn_conv1d_pad_to_nc1d": _SWITCH,
        "cudnn_conv_algo_search": _one_of("EXHAUSTIVE", "HEURISTIC", "DEFAULT"),
        "cudnn_conv_use_max_workspace": _SWITCH,
        "do_copy_in_default_stream": _SWITCH,
        "enable_skip_layer_norm_strict_mode": _SWITCH,
        "fuse_conv_bias": _SWITCH,
        "gpu_mem_limit": _BYTES,
        "prefer_nhwc": _SWITCH,
        "sdpa_kernel": _NUMBER,
        "tunable_op_enable": _SWITCH,
        "tunable_op_max_tuning_duration_ms": _NUMBER,
        "tunable_op_tuning_enable": _SWITCH,
        "use_ep_level_unified_stream": _SWITCH,
        "use_tf32": _SWITCH,
    },
    Provider.TENSORRT: {
        "trt_auxiliary_streams": Values("a whole number, or -1", "-1|[0-9]{1,2}"),
        "trt_bf16_enable": _TRUTH,
        "trt_build_heuristics_enable": _TRUTH,
        "trt_builder_optimization_level": Values("0 to 5", "[0-5]"),
        "trt_context_memory_sharing_enable": _TRUTH,
        "trt_force_sequential_engine_build": _TRUTH,
        "trt_fp16_enable": _TRUTH,
        "trt_int8_enable": _TRUTH,
        "trt_layer_norm_fp32_fallback": _TRUTH,
        "trt_max_partition_iterations": _NUMBER,
        "trt_max_workspace_size": _BYTES,
        "trt_min_subgraph_size": _NUMBER,
        "trt_op_types_to_exclude": _OPERATORS,
        "trt_profile_max_shapes": _SHAPES,
        "trt_profile_min_shapes": _SHAPES,
        "trt_profile_opt_shapes": _SHAPES,
        "trt_sparsity_enable": _TRUTH,
    },
}
"""By provider and option, the values that are taken."""

_SECTIONS = {provider: provider.value for provider in KNOWN}


def provider_options_to_proto(
    options: Options,
) -> serving_config_pb2.ServingConfig.ProviderOptions | None:
    """The section as its message; None where nothing is told."""
    told = {_SECTIONS[provider]: values for provider, values in options.items()}
    return _Message(**told) if told else None


def provider_options_from_proto(
    reader: Reader, proto: ConfigMessage.ProviderOptions, default: Options, path: str
) -> Options:
    """Return what the message sets, over `default`, provider by provider."""
    told = {provider: getattr(proto, section) for provider, section in _SECTIONS.items()}
    for provider, values in told.items():
        for name, value in sorted(values.items()):
            _check(reader, provider, name, value, f"{path}.{_SECTIONS[provider]}")
    set_here = {provider: dict(sorted(values.items())) for provider, values in told.items()}
    return {**default, **{provider: values for provider, values in set_here.items() if values}}


def takes(provider: Provider, name: str, value: str) -> bool:
    """Return whether a provider's option is known and takes this value."""
    known = KNOWN[provider].get(name)
    return known is not None and known.take(value)


def _check(reader: Reader, provider: Provider, name: str, value: str, path: str) -> None:
    known = KNOWN[provider].get(name)
    if known is None:
        reader.wrong(path, f"{name[:80]!r} cannot be set; these can: {', '.join(KNOWN[provider])}")
    elif not known.take(value):
        reader.wrong(f"{path}[{name!r}]", f"{value[:80]!r} is not {known.told}")
