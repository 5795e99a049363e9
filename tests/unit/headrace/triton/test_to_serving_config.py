"""What a Triton config becomes in Headrace, and what of it is listed because it cannot."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format

from headrace.conversion import serving_config_from_proto
from headrace.inference import model_config_pb2
from headrace.state.records import DeclaredShape, ServingConfig
from headrace.triton.graph import GraphTensor, GraphTensors
from headrace.triton.hints import ADVICE
from headrace.triton.pbtxt import parse_config
from headrace.triton.to_serving_config import carry_over
from headrace.triton.to_serving_config_shapes import with_missing_ranks

X = 'input { name: "x" data_type: TYPE_FP32 dims: 4 } '
COMPLETE = X + 'output { name: "y" data_type: TYPE_FP32 dims: 2 } '
"""Inputs and outputs: with both, Triton completes nothing."""


def carried(text: str) -> dict[str, Any]:
    """The serving config that a text becomes, as its JSON form, of a config that is carried over whole."""
    result = carry_over(parse_config(text, "test"))
    assert () == result.not_carried
    return _as_dict(result.serving_config)


def _as_dict(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def listed(text: str) -> dict[str, str]:
    """Field and value of what is not carried over."""
    found = carry_over(parse_config(text, "test")).not_carried
    assert all(each.why and each.remedy for each in found)
    return {each.field: each.value for each in found}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ('name: "m" backend: "onnxruntime" default_model_filename: "net.onnx"', {}),
        ('platform: "onnxruntime_onnx"', {}),
        ('parameters { key: "headrace.batching" value { string_value: "on" } }', {}),
        (COMPLETE, {"batching": {"max_batch_size": 0}}),
        (X, {}),
        ("max_batch_size: 8", {"batching": {"max_batch_size": 8}}),
        (
            (
                "max_batch_size: 8 dynamic_batching { preferred_batch_size: [8, 4, 8] "
                "max_queue_delay_microseconds: 1500 }"
            ),
            {
                "batching": {
                    "max_batch_size": 8,
                    "max_queue_delay": "0.001500s",
                    "preferred_batch_sizes": [4, 8],
                }
            },
        ),
        (
            (
                "dynamic_batching { default_queue_policy { max_queue_size: 32 "
                "default_timeout_microseconds: 2000000 } }"
            ),
            {
                "batching": {"max_queue_delay": "0s"},
                "queue": {"max_requests": 32, "timeout": "2s"},
            },
        ),
        (
            (
                "dynamic_batching { preserve_ordering: true priority_levels: 2 "
                "default_priority_level: 1 default_queue_policy { timeout_action: DELAY "
                "default_timeout_microseconds: 5 allow_timeout_override: true } "
                "priority_queue_policy { key: 1 value { max_queue_size: 3 } } }"
            ),
            {
                "batching": {"max_queue_delay": "0s", "preserve_ordering": True},
                "queue": {
                    "timeout": "0.000005s",
                    "timeout_action": "QUEUE_TIMEOUT_ACTION_DELAY",
                    "allow_timeout_override": True,
                },
                "priorities": {
                    "levels": 2,
                    "default_level": 1,
                    "queues": {"1": {"max_requests": 3, "timeout": "0s"}},
                },
            },
        ),
        (
            "instance_group { count: 3 kind: KIND_CPU }",
            {"instances": 3, "provider": "PROVIDER_CPU"},
        ),
        ("instance_group { kind: KIND_GPU gpus: 0 }", {"provider": "PROVIDER_CUDA"}),
        ("instance_group { count: 2 }", {"instances": 2, "provider": "PROVIDER_AUTO"}),
        (
            "instance_group [ { count: 2 kind: KIND_GPU }, { kind: KIND_GPU } ]",
            {"instances": 3, "provider": "PROVIDER_CUDA"},
        ),
        (
            (
                "instance_group { kind: KIND_GPU } optimization { execution_accelerators { "
                'gpu_execution_accelerator { name: "tensorrt" } } }'
            ),
            {"provider": "PROVIDER_TENSORRT"},
        ),
        (
            "optimization { graph { level: -1 } }",
            {"session": {"graph_optimization": "GRAPH_OPTIMIZATION_BASIC"}},
        ),
        (
            "optimization { graph { level: 1 } }",
            {"session": {"graph_optimization": "GRAPH_OPTIMIZATION_EXTENDED"}},
        ),
        (
            "optimization { graph { level: 2 } }",
            {"session": {"graph_optimization": "GRAPH_OPTIMIZATION_DISABLED"}},
        ),
        (
            "optimization { graph { } }",
            {"session": {"graph_optimization": "GRAPH_OPTIMIZATION_ALL"}},
        ),
        (
            'parameters { key: "intra_op_thread_count" value { string_value: "4" } }',
            {"session": {"intra_op_threads": 4}},
        ),
        (
            (
                'parameters { key: "execution_mode" value { string_value: "1" } }'
                'parameters { key: "inter_op_thread_count" value { string_value: "2" } }'
            ),
            {"session": {"inter_op_threads": 2}},
        ),
        ('parameters { key: "execution_mode" value { string_value: "0" } }', {}),
        (
            'parameters { key: "execution_mode" value { string_value: "1" } }',
            {"session": {"execution_mode": "EXECUTION_MODE_PARALLEL"}},
        ),
        (
            (
                'parameters { key: "enable_mem_arena" value { string_value: "1" } }'
                'parameters { key: "enable_mem_pattern" value { string_value: "0" } }'
            ),
            {"session": {"cpu_memory_arena": True, "memory_pattern": False}},
        ),
        (
            (
                'parameters { key: "cudnn_conv_algo_search" value { string_value: "0" } }'
                'parameters { key: "arena_extend_strategy" value { string_value: "1" } }'
                'parameters { key: "do_copy_in_default_stream" value { string_value: "0" } }'
                'parameters { key: "gpu_mem_limit" value { string_value: "4294967200" } }'
            ),
            {
                "provider_options": {
                    "cuda": {
                        "cudnn_conv_algo_search": "EXHAUSTIVE",
                        "arena_extend_strategy": "kSameAsRequested",
                        "do_copy_in_default_stream": "0",
                        "gpu_mem_limit": "4294967200",
                    }
                }
            },
        ),
        (
            (
                "instance_group { kind: KIND_GPU } optimization { execution_accelerators { "
                'gpu_execution_accelerator { name: "tensorrt" '
                'parameters { key: "precision_mode" value: "FP16" } '
                'parameters { key: "max_workspace_size_bytes" value: "1073741824" } '
                'parameters { key: "trt_engine_cache_enable" value: "1" } '
                'parameters { key: "trt_sparsity_enable" value: "true" } '
                'parameters { key: "trt_builder_optimization_level" value: "3" } '
                'parameters { key: "trt_profile_min_shapes" value: "x:1x3,y:1" } } } }'
            ),
            {
                "provider": "PROVIDER_TENSORRT",
                "provider_options": {
                    "tensorrt": {
                        "trt_fp16_enable": "True",
                        "trt_max_workspace_size": "1073741824",
                        "trt_sparsity_enable": "True",
                        "trt_builder_optimization_level": "3",
                        "trt_profile_min_shapes": "x:1x3,y:1",
                    }
                },
            },
        ),
        (
            (
                "optimization { execution_accelerators { gpu_execution_accelerator { "
                'name: "cuda" parameters { key: "use_ep_level_unified_stream" value: "1" } } } }'
            ),
            {"provider_options": {"cuda": {"use_ep_level_unified_stream": "1"}}},
        ),
        (
            COMPLETE + "max_batch_size: 0 "
            'model_warmup { name: "a" count: 3 inputs { key: "x" value { dims: 4 zero_data: true } } '
            'inputs { key: "z" value { dims: [4, 2] random_data: true } } } '
            'model_warmup { name: "b" batch_size: 1 '
            'inputs { key: "x" value { dims: 4 input_data_file: "day/x" } } }',
            {
                "batching": {"max_batch_size": 0},
                "warm_up": {
                    "samples": [
                        {
                            "name": "a",
                            "runs": 3,
                            "inputs": {
                                "x": {"shape": ["4"], "data": "MADE_UP_DATA_ZEROS"},
                                "z": {"shape": ["4", "2"], "data": "MADE_UP_DATA_RANDOM"},
                            },
                        },
                        {
                            "name": "b",
                            "runs": 1,
                            "inputs": {"x": {"shape": ["4"], "file": "warmup/day/x"}},
                        },
                    ]
                },
            },
        ),
        (
            COMPLETE + 'model_warmup { name: "w" batch_size: 1 count: 5 inputs { key: "x" value '
            "{ data_type: TYPE_FP32 dims: 4 zero_data: true } } }",
            {"batching": {"max_batch_size": 0}, "warm_up": {"runs": 5}},
        ),
    ],
)
def test_what_is_carried_over(text: str, expected: dict[str, Any]) -> None:
    """A row each: a config, and the serving config that says the same."""
    assert expected == carried(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('backend: "python"', {"backend": "python"}),
        ('platform: "tensorrt_plan"', {"platform": "tensorrt_plan"}),
        ("version_policy { all { } }", {"version_policy": "{all { }}"}),
        ("max_batch_size: 70000", {"max_batch_size": "70000"}),
        (
            (
                'input { name: "x" dims: 1 format: FORMAT_NCHW allow_ragged_batch: true '
                "optional: true }"
            ),
            {
                'input["x"].format': "FORMAT_NCHW",
                'input["x"].allow_ragged_batch': "True",
                'input["x"].optional': "True",
            },
        ),
        (
            'input { name: "reshape" dims: 1 is_shape_tensor: true }',
            {'input["reshape"].is_shape_tensor': "True"},
        ),
        ('output { name: "y" label_filename: "l" }', {'output["y"].label_filename': "l"}),
        (
            (
                'instance_group { name: "g" count: 300 gpus: [0, 1] host_policy: "p" passive: true '
                "rate_limiter { priority: 2 } }"
            ),
            {
                'instance_group["g"].name': "g",
                'instance_group["g"].count': "300",
                'instance_group["g"].gpus': "[0, 1]",
                'instance_group["g"].rate_limiter': "{priority: 2}",
                'instance_group["g"].passive': "True",
                'instance_group["g"].host_policy': "p",
            },
        ),
        (
            "instance_group [ { count: 1 kind: KIND_CPU }, { count: 1 kind: KIND_GPU } ]",
            {'instance_group["0"].count': "1", 'instance_group["0"].kind': "KIND_CPU"},
        ),
        (
            'cc_model_filenames { key: "8.0" value: "a.onnx" }',
            {'cc_model_filenames["8.0"]': "a.onnx"},
        ),
        ('metric_tags { key: "team" value: "a" }', {'metric_tags["team"]': "a"}),
        (
            (
                "max_batch_size: 4 dynamic_batching { preferred_batch_size: [2, 8] "
                "priority_levels: 2 default_priority_level: 3 "
                "max_queue_delay_microseconds: 20000000 "
                "default_queue_policy { default_timeout_microseconds: 5000000000 "
                "max_queue_size: 2000000 } "
                "priority_queue_policy { key: 9 value { max_queue_size: 3 } } }"
            ),
            {
                "dynamic_batching.preferred_batch_size": "[2, 8]",
                "dynamic_batching.default_priority_level": "3",
                "dynamic_batching.max_queue_delay_microseconds": "20000000",
                "dynamic_batching.default_queue_policy.default_timeout_microseconds": "5000000000",
                "dynamic_batching.default_queue_policy.max_queue_size": "2000000",
                'dynamic_batching.priority_queue_policy["9"]': "{max_queue_size: 3}",
            },
        ),
        ("sequence_batching { }", {"sequence_batching": "{}"}),
        (
            'ensemble_scheduling { step { model_name: "a" } }',
            {"ensemble_scheduling": '{step { model_name: "a" }}'},
        ),
        (
            (
                "optimization { graph { level: 7 } priority: PRIORITY_MAX cuda { graphs: true } "
                "input_pinned_memory { } eager_batching: true gather_kernel_buffer_threshold: 1 }"
            ),
            {
                "optimization.graph.level": "7",
                "optimization.priority": "PRIORITY_MAX",
                "optimization.cuda": "{graphs: true}",
                "optimization.input_pinned_memory": "{}",
                "optimization.gather_kernel_buffer_threshold": "1",
                "optimization.eager_batching": "True",
            },
        ),
        (
            (
                "instance_group { kind: KIND_GPU } optimization { execution_accelerators { "
                'gpu_execution_accelerator { name: "tensorrt" parameters { key: "precision_mode" '
                'value: "FP12" } '
                'parameters { key: "trt_engine_cache_path" value: "/cache" } } '
                'cpu_execution_accelerator { name: "openvino" } } }'
            ),
            {
                'optimization.execution_accelerators.gpu_execution_accelerator["tensorrt"]'
                '.parameters["precision_mode"]': "FP12",
                'optimization.execution_accelerators.gpu_execution_accelerator["tensorrt"]'
                '.parameters["trt_engine_cache_path"]': "/cache",
                'optimization.execution_accelerators.cpu_execution_accelerator["openvino"]': (
                    '{name: "openvino"}'
                ),
            },
        ),
        (
            (
                "instance_group { kind: KIND_CPU } optimization { execution_accelerators { "
                'gpu_execution_accelerator { name: "cuda" } '
                'gpu_execution_accelerator { name: "tensorrt" } } }'
            ),
            {
                'optimization.execution_accelerators.gpu_execution_accelerator["cuda"].name': "cuda",
                'optimization.execution_accelerators.gpu_execution_accelerator["tensorrt"]'
                ".name": "tensorrt",
            },
        ),
        (
            X + 'max_batch_size: 8 model_warmup { name: "w" batch_size: 5 count: 2000 '
            'inputs { key: "x" value { dims: 4 input_data_file: "../x" } } '
            'inputs { key: "z" value { dims: 4 zero_data: true } } }',
            {
                'model_warmup["w"].batch_size': "5",
                'model_warmup["w"].count': "2000",
                'model_warmup["w"].name': "w",
                'model_warmup["w"].inputs["x"]': '{dims: 4 input_data_file: "../x"}',
            },
        ),
        (
            'model_operations { op_library_filename: ["/lib/ops.so", "more.so", "ops.so"] }',
            {"model_operations.op_library_filename": "ops.so, more.so"},
        ),
        (
            "model_transaction_policy { decoupled: true }",
            {"model_transaction_policy": "{decoupled: true}"},
        ),
        (
            'batch_input { target_name: "n" } batch_output { target_name: "n" }',
            {
                'batch_input["0"]': '{target_name: "n"}',
                'batch_output["0"]': '{target_name: "n"}',
            },
        ),
        (
            'model_repository_agents { agents { name: "checksum" } }',
            {"model_repository_agents": '{agents { name: "checksum" }}'},
        ),
        ("response_cache { enable: true }", {"response_cache": "{enable: true}"}),
        ('runtime: "libx.so"', {"runtime": "libx.so"}),
        (
            'model_metrics { metric_control { metric_identifier { family: "f" } } }',
            {"model_metrics": '{metric_control { metric_identifier { family: "f" } }}'},
        ),
        (
            (
                'parameters { key: "anything" value { string_value: "v" } }'
                'parameters { key: "intra_op_thread_count" value { string_value: "many" } }'
                'parameters { key: "inter_op_thread_count" value { string_value: "2" } }'
            ),
            {
                'parameters["anything"]': '{string_value: "v"}',
                'parameters["inter_op_thread_count"]': '{string_value: "2"}',
                'parameters["intra_op_thread_count"]': '{string_value: "many"}',
            },
        ),
        (COMPLETE + "max_batch_size: 8", {"dynamic_batching": "(left out)"}),
    ],
)
def test_what_is_not_carried_over_is_listed(text: str, expected: dict[str, str]) -> None:
    """A row each: a config, and every field with its value that Headrace does not take."""
    assert expected == listed(text)


def test_a_value_is_named_and_cut() -> None:
    """Long values are cut, so that a list of many stays readable."""
    (value,) = listed('runtime: "' + "r" * 500 + '"').values()
    assert ("r" * 79 + "…") == value


def test_advice_is_about_fields_that_there_are() -> None:
    """Every path of the table leads to a field of ModelConfig, or into its parameters."""
    assert [] == [path for path in ADVICE if not _leads_somewhere(path)]


def _leads_somewhere(path: str) -> bool:
    first, *rest = path.split(".")
    field: Any = model_config_pb2.ModelConfig.DESCRIPTOR.fields_by_name.get(first)
    if first == "parameters":
        return True
    while field is not None and rest:
        field = field.message_type.fields_by_name.get(rest.pop(0))
    return field is not None


def test_every_field_is_carried_over_or_listed() -> None:
    """A config with every field set loses none: each is cleared by what carries it, or listed."""
    config = model_config_pb2.ModelConfig()
    _fill(config)
    found = carry_over(config).not_carried
    names = {each.field.partition(".")[0].partition("[")[0] for each in found}
    taken = {"name", "default_model_filename", "max_batch_size", "sequence_batching"}
    taken |= {"model_warmup", "dynamic_batching"}  # of one scheduler, the last that is set remains
    assert set(config.DESCRIPTOR.fields_by_name) == names | taken


def _fill(message: Any) -> None:
    """Set every field to something."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = getattr(message, field.name)
            kind = field.message_type.fields_by_name["value"].message_type
            key = "1" if field.message_type.fields_by_name["key"].type == field.TYPE_STRING else 1
            if kind is None:
                value[key] = "v"
            else:
                _fill(value[key])
        elif field.message_type is not None:
            value = getattr(message, field.name)
            _fill(value.add() if field.is_repeated else value)
        elif field.is_repeated:
            getattr(message, field.name).append("s" if field.type == field.TYPE_STRING else 1)
        else:
            setattr(message, field.name, "s" if field.type == field.TYPE_STRING else 1)


def test_tensors_are_reshaped_and_get_the_rank_that_the_graph_leaves_out() -> None:
    """A reshape is taken from the config alone, dims only where the graph declares no rank."""
    config = parse_config(
        'input [{ name: "x" dims: 1 reshape { } }, { name: "any" dims: [-1, 3] }, { name: "z" dims: 2 }]'
        'output { name: "y" dims: [2, 2] reshape { shape: 4 } }',
        "test",
    )
    unranked, ranked = GraphTensor("TYPE_FP32", None), GraphTensor("TYPE_FP32", (2,))
    graph = GraphTensors({"x": unranked, "any": unranked, "z": ranked}, {"y": unranked})
    result = carry_over(config)
    given = with_missing_ranks(result.serving_config, config, graph)

    shapes = serving_config_from_proto(given, ServingConfig()).shapes
    assert {"x": DeclaredShape((1,), ()), "any": DeclaredShape((-1, 3))} == shapes.inputs
    assert {"y": DeclaredShape((2, 2), (4,))} == shapes.outputs
    assert () == result.left
