"""config.pbtxt as text, version policies, and configs made from versions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as tritons_config_pb2

from headrace import errors
from headrace.conversion import serving_config_from_proto
from headrace.datatypes import Datatype
from headrace.inference import model_config_pb2
from headrace.language.triton_form import GENERATION_SIGNATURE
from headrace.state.language_records import LanguageFacts, VersionKind
from headrace.state.records import (
    ArtifactFile,
    Batching,
    ExecutionMode,
    GraphOptimization,
    Provider,
    QueuePolicy,
    Sample,
    SampleInput,
    ServingConfig,
    SessionOptions,
    Signature,
    SyntheticData,
    TensorSpec,
    VersionRecord,
    WarmUp,
)
from headrace.triton.graph import GraphTensor, GraphTensors
from headrace.triton.pbtxt import format_config, parse_config, read_config
from headrace.triton.tensors import tensor_differences
from headrace.triton.to_model_config import config_for_triton, model_config
from headrace.triton.to_serving_config import carry_over
from headrace.triton.versions import selected_versions, version_numbers

SIGNATURE = Signature(
    inputs=(
        TensorSpec("x", Datatype.FP32, (-1, 3, -1), ("batch", "", "w")),
        TensorSpec("text", Datatype.BYTES, (-1, 1), ("batch", "")),
    ),
    outputs=(TensorSpec("y", Datatype.INT64, (-1, 2), ("batch", "")),),
)


def version(config: ServingConfig, signature: Signature = SIGNATURE) -> VersionRecord:
    """Version 3 of `m`, with labels."""
    files = (ArtifactFile("model.onnx", 10, "a" * 64), ArtifactFile("y.labels.txt", 5, "b" * 64))
    return VersionRecord("m", 3, "d" * 64, files, "model.onnx", signature, config, 0.0)


def test_a_generative_version_streams_and_has_no_config_for_triton() -> None:
    """Triton's clients see its tensors, and that it answers more than once."""
    facts = LanguageFacts(VersionKind.GENERATION, "llama", 512, 640, "e" * 64)
    generative = replace(version(ServingConfig(), GENERATION_SIGNATURE), language=facts)
    shown = model_config(generative)
    assert (True, 0, "text_input") == (
        shown.model_transaction_policy.decoupled,
        shown.max_batch_size,
        shown.input[0].name,
    )
    assert not model_config(version(ServingConfig())).model_transaction_policy.decoupled
    with pytest.raises(errors.InvalidArgument, match="one of generation") as refused:
        config_for_triton(generative)
    assert "VERSION_KIND" == refused.value.reason


CONFIGS = [
    ServingConfig(),
    ServingConfig(batching=Batching(8)),
    ServingConfig(batching=Batching(8, 1500, (2, 4)), queue=QueuePolicy(7, 9000), instances=3),
    ServingConfig(queue=QueuePolicy(7), provider=Provider.CPU),
    ServingConfig(provider=Provider.CUDA, session=SessionOptions(4, 2, GraphOptimization.BASIC)),
    ServingConfig(
        provider=Provider.TENSORRT,
        session=SessionOptions(graph_optimization=GraphOptimization.DISABLED),
    ),
    ServingConfig(
        session=SessionOptions(graph_optimization=GraphOptimization.EXTENDED), warm_up=WarmUp(4)
    ),
    ServingConfig(
        batching=Batching(8),
        session=SessionOptions(
            inter_op_threads=1,
            execution_mode=ExecutionMode.PARALLEL,
            cpu_memory_arena=False,
            memory_pattern=False,
        ),
        warm_up=WarmUp(2, SyntheticData.RANDOM),
        provider_options={Provider.CUDA: {"use_tf32": "0"}},
    ),
    ServingConfig(
        provider=Provider.TENSORRT,
        provider_options={
            Provider.CUDA: {"gpu_mem_limit": "7"},
            Provider.TENSORRT: {"trt_fp16_enable": "True"},
        },
    ),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_version_survives_the_way_there_and_back(config: ServingConfig) -> None:
    """A serving config, as Triton's text and carried over again, is what it was; two names are listed."""
    text = format_config(model_config(version(config)))

    carried = carry_over(parse_config(text, "test"))

    assert config == serving_config_from_proto(carried.serving_config, ServingConfig())
    assert ["version_policy", 'output["y"].label_filename', 'instance_group["m"].name'] == [
        each.field for each in carried.not_carried
    ]


def test_what_triton_gets_to_read() -> None:
    """The whole text: Triton's own fields, in its order, and where the files go."""
    config = replace(CONFIGS[2], warm_up=WarmUp(0))
    assert config_for_triton(version(config)) == TEXT


TEXT = """\
# m/config.pbtxt; the graph is m/3/model.onnx, with its external data beside it
# the labels are m/y.labels.txt
name: "m"
platform: "onnxruntime_onnx"
version_policy {
  specific {
    versions: 3
  }
}
max_batch_size: 8
input {
  name: "x"
  data_type: TYPE_FP32
  dims: 3
  dims: -1
}
input {
  name: "text"
  data_type: TYPE_STRING
  dims: 1
}
output {
  name: "y"
  data_type: TYPE_INT64
  dims: 2
  label_filename: "y.labels.txt"
}
instance_group {
  name: "m"
  count: 3
}
default_model_filename: "model.onnx"
dynamic_batching {
  preferred_batch_size: 2
  preferred_batch_size: 4
  max_queue_delay_microseconds: 1500
  default_queue_policy {
    default_timeout_microseconds: 9000
    max_queue_size: 7
  }
}
backend: "onnxruntime"
"""


@pytest.mark.parametrize("config", CONFIGS)
def test_tritons_own_code_reads_what_is_exported(config: ServingConfig) -> None:
    """The text is a ModelConfig by Triton's generated code, too, and means the same there."""
    text = config_for_triton(version(config))

    theirs = text_format.Parse(text, tritons_config_pb2.ModelConfig())

    ours = parse_config(text, "exported")
    assert ours.SerializeToString(deterministic=True) == theirs.SerializeToString(
        deterministic=True
    )


def test_samples_libraries_and_what_triton_cannot_say() -> None:
    """Raw samples are Triton's, for the smallest and the largest batch; the rest is said in comments."""
    signature = Signature((TensorSpec("x", Datatype.FP32, (-1, -1)),), ())
    samples = (
        Sample("day", {"x": SampleInput("warmup/day/x", shape=(3,))}, 2),
        Sample("npy", {"x": SampleInput("x.npy")}),
    )
    config = ServingConfig(
        Batching(8, latency_objective_microseconds=100_000),
        QueuePolicy(max_wait_microseconds=0),
        session=SessionOptions(
            custom_operators=("liba.so",), free_dimensions={"n": 3}, io_binding=True
        ),
        warm_up=WarmUp(samples=samples),
        provider_options={Provider.CPU: {"session.dynamic_block_base": "4"}},
    )

    text = config_for_triton(version(config, signature))

    assert text.splitlines()[1:9] == [
        "# the warm-up values warmup/day/x are m/warmup/day/x",
        "# samples with x.npy are left out: Triton reads no .npy",
        "# Triton has no word for session.free_dimensions",
        "# Triton has no word for session.io_binding",
        "# Triton has no word for provider_options.cpu",
        "# Triton has no word for batching.latency_objective",
        "# Triton has no word for queue.max_wait",
        'name: "m"',
    ]
    read = parse_config(text, "exported")
    assert ["liba.so"] == list(read.model_operations.op_library_filename)
    assert [("day-1", 1, 2), ("day-8", 8, 2)] == [
        (sample.name, sample.batch_size, sample.count) for sample in read.model_warmup
    ]
    value = read.model_warmup[1].inputs["x"]
    assert ([3], "day/x") == (list(value.dims), value.input_data_file)
    shown = model_config(version(config, signature))
    assert ["day-1", "day-8", "npy-1", "npy-8"] == [each.name for each in shown.model_warmup]
    carried = serving_config_from_proto(carry_over(read).serving_config, ServingConfig())
    assert ("liba.so",) == carried.session.custom_operators
    assert samples[0].inputs == carried.warm_up.samples[1].inputs


def test_tensors_without_dims_get_one() -> None:
    """Triton refuses empty dims: what has none but the batch's is reshaped, a scalar is [1]."""
    rows = Signature(
        (TensorSpec("x", Datatype.FP32, (-1,)),), (TensorSpec("y", Datatype.FP32, (-1,)),)
    )
    scalars = Signature((TensorSpec("x", Datatype.FP32, ()),), ())

    batched = parse_config(config_for_triton(version(CONFIGS[1], rows)), "test")
    alone = parse_config(config_for_triton(version(CONFIGS[0], scalars)), "test")

    assert ([1], []) == (list(batched.input[0].dims), list(batched.input[0].reshape.shape))
    assert batched.output[0].HasField("reshape")
    assert {(1,)} == {tuple(sample.inputs["x"].dims) for sample in batched.model_warmup}
    assert ([1], False) == (list(alone.input[0].dims), alone.input[0].HasField("reshape"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('name: "m"\nmax_batch: 3\n', "config.pbtxt:2:1: .*no field named"),
        ("input [\n  { data_type: TYPE_FP31 }\n]", "config.pbtxt:2:16: .*TYPE_FP31"),
        ('max_batch_size: "8"', "config.pbtxt:1:17: "),
        ('name: "m', "config.pbtxt:1:7: "),
        ('name: "\\xff"', "config.pbtxt:1:13: "),
        ("max_batch_size: 99999999999", "config.pbtxt:1:17: .*out of range"),
        ("max_batch_size: -1", "config.pbtxt: max_batch_size is -1; it must be 0 or more"),
        ("instance_group { count: -2 gpus: -1 }", r"\[0\].count is -2; .*devices are 0 or more"),
        ("dynamic_batching { preferred_batch_size: 0 }", "has 0; it must be 1 or more"),
        ('input { name: "x" dims: -2 }', r'input\["x"\] has a dimension of -2'),
        ("dynamic_batching { }\nsequence_batching { }", "config.pbtxt:2:1: .*oneof"),
    ],
)
def test_wrong_texts_say_where(text: str, expected: str) -> None:
    """A row each: what is no config is refused with its place and what is wrong there."""
    with pytest.raises(errors.InvalidArgument, match=expected) as raised:
        parse_config(text, "config.pbtxt")
    assert raised.value.reason == "CONFIG_PBTXT_INVALID"


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, and a folder in the file's place."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("bytes", "."):
        with pytest.raises(errors.InvalidArgument, match="cannot be read") as raised:
            read_config(tmp_path / name)
        assert raised.value.reason == "CONFIG_PBTXT_INVALID"


def test_which_folders_are_versions() -> None:
    """Numbers without leading zeros, in the order of numbers."""
    names = ["10", "2", "1", "0", "007", "01", "v3", "3a", "-1", "warmup", "", "٣"]
    assert [0, 1, 2, 10] == version_numbers(names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [9]),
        ("version_policy { latest { num_versions: 2 } }", [5, 9]),
        ("version_policy { latest { num_versions: 20 } }", [1, 2, 5, 9]),
        ("version_policy { all { } }", [1, 2, 5, 9]),
        ("version_policy { specific { versions: [5, 1] } }", [1, 5]),
    ],
)
def test_which_versions_are_served(text: str, expected: list[int]) -> None:
    """A row each: a version policy, and what it selects of 1, 2, 5 and 9, ascending."""
    assert expected == selected_versions(parse_config(text, "test"), [1, 2, 5, 9])


@pytest.mark.parametrize(
    ("text", "numbers", "expected"),
    [
        ("", [], "needs one"),
        ("version_policy { specific { versions: [1, 4] } }", [1], r"names \[4\]"),
    ],
)
def test_versions_that_are_not_there(text: str, numbers: list[int], expected: str) -> None:
    """A model without versions, and a policy that names one which is missing, are refused."""
    with pytest.raises(errors.NotFound, match=expected) as raised:
        selected_versions(parse_config(text, "test"), numbers)
    assert raised.value.reason == "TRITON_VERSION_NOT_FOUND"


GRAPH = GraphTensors(
    {"x": GraphTensor("TYPE_FP32", (-1, 3, -1))}, {"y": GraphTensor("TYPE_INT64", (-1, 2))}
)
Y = 'output { name: "y" data_type: TYPE_INT64 dims: 2 } '


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ('max_batch_size: 4 input { name: "x" data_type: TYPE_FP32 dims: [3, -1] } ' + Y, {}),
        ('input { name: "x" data_type: TYPE_FP32 dims: [-1, 3, -1] } ', {}),
        (
            'max_batch_size: 4 input { name: "x" data_type: TYPE_FP32 dims: [3, 224] }',
            {'input["x"].dims': "[3, 224]"},
        ),
        (
            'max_batch_size: 4 input { name: "x" data_type: TYPE_FP16 dims: [5, -1] }',
            {'input["x"].data_type': "TYPE_FP16", 'input["x"].dims': "[5, -1]"},
        ),
        (
            'max_batch_size: 4 output { name: "y" data_type: TYPE_INT64 dims: 1 reshape { shape: 2 } }',
            {},
        ),
        (
            'max_batch_size: 4 output { name: "y" data_type: TYPE_INT64 dims: [2, 1] }',
            {'output["y"].dims': "[2, 1]"},
        ),
        (
            'input { name: "z" data_type: TYPE_FP32 dims: 1 }',
            {'input["z"]': "(all of it)", 'input["x"]': "(left out)"},
        ),
    ],
)
def test_where_config_and_graph_differ(text: str, expected: dict[str, str]) -> None:
    """A row each: a config of a graph with x FP32 [-1, 3, -1] and y INT64 [-1, 2], and what is listed."""
    found = tensor_differences(parse_config(text, "test"), GRAPH)
    assert expected == {each.field: each.value for each in found}


def test_a_shape_that_the_graph_does_not_declare_is_no_difference() -> None:
    """A tensor without a declared shape fits every config."""
    graph = GraphTensors({"x": GraphTensor("TYPE_FP32", None)})
    config = model_config_pb2.ModelConfig(
        input=[model_config_pb2.ModelInput(name="x", data_type="TYPE_FP32", dims=[4])]
    )
    assert [] == list(tensor_differences(config, graph))
