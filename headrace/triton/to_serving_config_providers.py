"""Converts a Triton config's settings of CUDA and TensorRT to provider options.

An option is taken where Headrace has it and takes its value; where the files of engines lie is a replica's
own affair, which keeps engines in any case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace.conversion.provider_options import takes
from headrace.state.records import Provider
from headrace.type.v1 import serving_config_pb2

if TYPE_CHECKING:
    from headrace.inference.model_config_pb2 import ModelConfig
    from headrace.type.v1.serving_config_pb2 import ServingConfig

TENSORRT, CUDA = "tensorrt", "cuda"
"""Accelerators by their names in Triton."""

PRECISION, WORKSPACE = "precision_mode", "max_workspace_size_bytes"
PRECISIONS: Mapping[str, str] = {
    "FP16": "trt_fp16_enable",
    "BF16": "trt_bf16_enable",
    "INT8": "trt_int8_enable",
}
_PLAIN = "FP32"
_ALWAYS = ("trt_engine_cache_enable", "trt_timing_cache_enable")
_TRUE, _FALSE = ("1", "true", "True"), ("0", "false", "False")

PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "cudnn_conv_algo_search": {"0": "EXHAUSTIVE", "1": "HEURISTIC", "2": "DEFAULT"},
    "arena_extend_strategy": {"0": "kNextPowerOfTwo", "1": "kSameAsRequested"},
    "do_copy_in_default_stream": {"0": "0", "1": "1"},
    "gpu_mem_limit": {},
}
"""CUDA's options that a config's parameters say, with ONNX Runtime's words for their numbers."""


def carry_accelerators(left: ModelConfig, taken: ServingConfig) -> None:
    """Take TensorRT for instances on GPUs, and what it and CUDA are told."""
    for accelerator in left.optimization.execution_accelerators.gpu_execution_accelerator:
        on_gpu = taken.provider == serving_config_pb2.PROVIDER_CUDA
        if accelerator.name == TENSORRT and on_gpu:
            taken.provider = serving_config_pb2.PROVIDER_TENSORRT
            accelerator.ClearField("name")
            _carry_tensorrt(accelerator.parameters, taken.provider_options.tensorrt)
        elif accelerator.name == CUDA and taken.provider != serving_config_pb2.PROVIDER_CPU:
            accelerator.ClearField("name")
            _carry_options(accelerator.parameters, taken.provider_options.cuda, Provider.CUDA)


def carry_cuda_parameters(left: ModelConfig, taken: ServingConfig) -> None:
    """Take CUDA's options from the config's own parameters, the older way to say them."""
    for name, words in PARAMETERS.items():
        # Looking a key up in a map of messages would create it.
        text = left.parameters[name].string_value if name in left.parameters else ""
        value = words.get(text, "" if words else text)
        if takes(Provider.CUDA, name, value):
            taken.provider_options.cuda[name] = value
            del left.parameters[name]


def _carry_tensorrt(parameters: Any, options: Any) -> None:
    precision, workspace = parameters.get(PRECISION), parameters.get(WORKSPACE, "")
    if precision in PRECISIONS:
        options[PRECISIONS[precision]] = "True"
    if precision == _PLAIN or precision in PRECISIONS:
        del parameters[PRECISION]
    if takes(Provider.TENSORRT, "trt_max_workspace_size", workspace):
        options["trt_max_workspace_size"] = workspace
        del parameters[WORKSPACE]
    for name in _ALWAYS:
        if parameters.get(name) in _TRUE:
            del parameters[name]
    _carry_options(parameters, options, Provider.TENSORRT)


def _carry_options(parameters: Any, options: Any, provider: Provider) -> None:
    for name in sorted(parameters):
        text = parameters[name]
        switch = "True" if text in _TRUE else "False" if text in _FALSE else text
        value = next((each for each in (text, switch) if takes(provider, name, each)), None)
        if value is not None:
            options[name] = value
            del parameters[name]
