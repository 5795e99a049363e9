"""Real ONNX files through the runner: every datatype, odd shapes, wrong inputs, many threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from headrace.datatypes import BFLOAT16, NUMPY_DTYPES, Datatype
from headrace.errors import FailedPrecondition, Unimplemented
from headrace.state.records import Provider, ServingConfig
from headrace_inference.adapters.runtime import session_options
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.execution_providers import (
    CPU,
    CUDA,
    TENSORRT,
    Hardware,
    hardware,
)
from headrace_inference.adapters.runtime.io_binding import bound_execution
from headrace_inference.adapters.runtime.onnx_runtime import open_session
from headrace_inference.domain.scheduling.runner import InputsRefused, OutOfMemory, RunFailed
from tests.unit.inference.runtime.models import Tensor, identity, node, opened, record_of, save

CASES = Path(onnx.__file__).parent / "backend/test/data"
ONNX_CASES = [
    "simple/test_strnorm_model_monday_casesensintive_nochangecase",
    "simple/test_strnorm_model_nostopwords_nochangecase",
    "simple/test_single_relu_model",
    "simple/test_expand_shape_model3",
    "simple/test_sign_model",
    "pytorch-operator/test_operator_conv",
    "pytorch-operator/test_operator_chunk",
    "pytorch-operator/test_operator_maxpool",
    "pytorch-operator/test_operator_permute2",
    "pytorch-operator/test_operator_reduced_sum_keepdim",
    "pytorch-operator/test_operator_repeat",
]


def values(datatype: Datatype, shape: tuple[int, ...] = (3, 2)) -> Any:
    """Something to send: strings of all sorts, small numbers else."""
    if datatype is Datatype.BYTES:
        texts = np.array(["", "zero\0byte", "grüße", "日本", "𝄞", "x" * 10_000], np.object_)
        return np.resize(texts, shape)
    return np.resize(np.arange(6), shape).astype(NUMPY_DTYPES[datatype])


def assert_same(expected: Any, actual: Any) -> None:
    """The same dtype, shape and values."""
    assert (expected.dtype, expected.shape) == (actual.dtype, actual.shape)
    np.testing.assert_array_equal(expected, actual)


@pytest.mark.parametrize("shape", [(3, 2), (), (0, 2), (1, 0, 3)])
@pytest.mark.parametrize("datatype", Datatype)
def test_every_datatype_in_every_kind_of_shape(
    tmp_path: Path, datatype: Datatype, shape: tuple[int, ...]
) -> None:
    """What goes in comes out, 0-d and empty tensors included."""
    free = [f"d{place}" for place in range(len(shape))]
    runner = opened(identity(tmp_path, datatype, free))
    sent = values(datatype, shape)
    (answer,) = runner.run([sent])
    assert_same(sent, answer)


@pytest.mark.parametrize("datatype", [Datatype.BF16, Datatype.FP16, Datatype.FP32, Datatype.INT64])
def test_views_are_read_element_by_element(tmp_path: Path, datatype: Datatype) -> None:
    """A strided array and bytes that may not be written are as good as an array of one's own."""
    runner = opened(identity(tmp_path, datatype, ["n", "m"]))
    strided = values(datatype, (4, 6))[::2, ::3]
    assert_same(np.array(strided), runner.run([strided])[0])
    whole = values(datatype)
    received = np.frombuffer(whole.tobytes(), whole.dtype).reshape(whole.shape)
    assert_same(whole, runner.run([received])[0])


def test_bfloat16_is_computed_and_mixed_with_others(tmp_path: Path) -> None:
    """BF16 tensors beside others, in and out, with the numbers that they stand for."""
    inputs = [Tensor("a", Datatype.BF16, ["n"]), Tensor("b", Datatype.FP32, ["n"])]
    outputs = [
        Tensor("sum", Datatype.BF16, ["n"]),
        Tensor("wide", Datatype.FP32, ["n"]),
        Tensor("text", Datatype.BYTES, ["n"]),
    ]
    nodes = [
        node("Cast", ["a"], ["wide_a"], to=1),
        node("Add", ["wide_a", "b"], ["wide"]),
        node("Cast", ["wide"], ["sum"], to=16),
        node("Cast", ["b"], ["text"], to=8),
    ]
    runner = opened(save(tmp_path / "model.onnx", nodes, inputs, outputs))
    a, b = np.array([1.5, -2.0], BFLOAT16), np.array([0.25, 3.0], np.float32)
    total, wide, text = runner.run([a, b])
    assert_same(np.array([1.75, 1.0], BFLOAT16), total)
    assert_same(np.array([1.75, 1.0], np.float32), wide)
    assert_same(np.array(["0.25", "3"], np.object_), text)


def test_bytes_inputs_beside_bfloat16_are_refused_when_loading(tmp_path: Path) -> None:
    """The runtime has no way to run them: better said once than at every request."""
    inputs = [Tensor("a", Datatype.BF16, ["n"]), Tensor("b", Datatype.BYTES, ["n"])]
    outputs = [Tensor("c", Datatype.BF16, ["n"]), Tensor("d", Datatype.BYTES, ["n"])]
    nodes = [node("Identity", ["a"], ["c"]), node("Identity", ["b"], ["d"])]
    with pytest.raises(Unimplemented) as caught:
        opened(save(tmp_path / "model.onnx", nodes, inputs, outputs))
    assert "DATATYPES_UNSUPPORTED" == caught.value.reason


def stored(file: Path) -> Any:
    """A tensor of ONNX's own test data: strings come as bytes, the runtime takes text."""
    tensor = onnx.TensorProto.FromString(file.read_bytes())
    array = numpy_helper.to_array(tensor)
    if array.dtype.kind not in "OSU":
        return array
    texts = [item.decode() if isinstance(item, bytes) else str(item) for item in array.ravel()]
    return np.array(texts, np.object_).reshape(array.shape)


@pytest.mark.parametrize("case", ONNX_CASES)
def test_onnx_own_cases(case: str) -> None:
    """Real inputs with the outputs that ONNX states for them."""
    folder = CASES / case
    data = folder / "test_data_set_0"
    runner = opened(folder / "model.onnx")
    answers = runner.run([stored(file) for file in sorted(data.glob("input_*.pb"))])
    expected = [stored(file) for file in sorted(data.glob("output_*.pb"))]
    assert len(expected) == len(answers)
    for want, got in zip(expected, answers, strict=True):
        assert (want.dtype, want.shape) == (got.dtype, got.shape)
        if want.dtype == np.object_:
            assert want.tolist() == got.tolist()
        else:
            np.testing.assert_allclose(want, got, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (np.zeros((3, 5), np.float32), "Got: 5 Expected: 2"),
        (np.zeros(3, np.float32), "Invalid rank for input: x Got: 1 Expected: 2"),
        (np.zeros((3, 2), np.float64), "Unexpected input data type"),
        (np.full((3, 2), "text", np.object_), "Unexpected input data type"),
    ],
)
def test_wrong_inputs_fail_with_the_runtimes_text(tmp_path: Path, wrong: Any, text: str) -> None:
    """And the runner is as good as before."""
    runner = opened(identity(tmp_path, Datatype.FP32))
    with pytest.raises(RunFailed) as caught:
        runner.run([wrong])
    assert text in str(caught.value)
    right = values(Datatype.FP32)
    assert_same(right, runner.run([right])[0])


def test_wrong_inputs_fail_in_bfloat16_too(tmp_path: Path) -> None:
    """The binding's errors are the same."""
    runner = opened(identity(tmp_path, Datatype.BF16))
    with pytest.raises(RunFailed, match="Got: 5 Expected: 2"):
        runner.run([np.zeros((3, 5), BFLOAT16)])


def test_a_failing_operator_is_told_without_the_runtimes_paths(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line that says what went wrong, and nothing on standard error, which callers could flood."""
    inputs = [Tensor("a", Datatype.FP32, ["n"]), Tensor("b", Datatype.FP32, ["m"])]
    outputs = [Tensor("c", Datatype.FP32, ["k"])]
    path = save(tmp_path / "model.onnx", [node("Add", ["a", "b"], ["c"])], inputs, outputs)
    runner = opened(path)
    with pytest.raises(InputsRefused) as caught:
        runner.run([np.zeros(2, np.float32), np.zeros(3, np.float32)])
    text = str(caught.value)
    assert text.endswith("Attempting to broadcast an axis by a dimension other than 1. 2 by 3")
    assert "onnxruntime_src" not in text
    assert "ONNXRuntimeError" not in text
    assert ("", "") == capfd.readouterr()


@pytest.mark.parametrize("datatype", [Datatype.FP32, Datatype.BF16, Datatype.BYTES])
def test_eight_threads_get_their_own_answers(tmp_path: Path, datatype: Datatype) -> None:
    """One session runs for all of them at a time."""
    runner = opened(identity(tmp_path, datatype, ["n", "m"]))
    sent = [np.roll(values(datatype, (5, 7)), turn) for turn in range(400)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda array: runner.run([array])[0], sent))
    for want, got in zip(sent, answers, strict=True):
        assert_same(want, got)


@pytest.mark.parametrize("content", [None, b"", b"no model", "half"])
def test_what_is_no_model_cannot_be_opened(tmp_path: Path, content: bytes | str | None) -> None:
    """A file that is missing, empty, something else or cut off: one error, with the runtime's reason."""
    path = identity(tmp_path, Datatype.FP32)
    record, whole = record_of(path), path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    with pytest.raises(FailedPrecondition) as caught:
        open_session(path, record)
    assert "MODEL_UNLOADABLE" == caught.value.reason
    assert "onnx runtime cannot open m/1: " in caught.value.message


@pytest.mark.parametrize("datatype", sorted(set(Datatype) - {Datatype.BYTES}))
def test_a_binding_gives_what_arrays_give(tmp_path: Path, datatype: Datatype) -> None:
    """Devices are run through bindings: all but the device is the same on the CPU."""
    path = identity(tmp_path, datatype)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    execute = bound_execution(session, record_of(path).signature, "cpu", 0)
    runs = session_options.run_options()
    for sent in (values(datatype), values(datatype, (0, 2)), values(datatype, (4, 6))[::2, ::3]):
        assert_same(sent, execute([sent], runs)[0])


def test_too_large_an_output_is_told_from_wrong_inputs(tmp_path: Path) -> None:
    """No memory is no fault of the inputs' form, and the process lives on."""
    x, y = Tensor("x", Datatype.INT64, [2]), Tensor("y", Datatype.FP32, ["a", "b"])
    runner = opened(
        save(tmp_path / "model.onnx", [node("ConstantOfShape", ["x"], ["y"])], [x], [y])
    )
    with pytest.raises(OutOfMemory):
        runner.run([np.array([1 << 25, 1 << 25])])
    assert (1, 3) == runner.run([np.array([1, 3])])[0].shape


@pytest.mark.skipif(hardware().has_cuda, reason="this machine has a CUDA device")
@pytest.mark.parametrize("asked", [Provider.CUDA, Provider.TENSORRT])
def test_without_a_device_cuda_is_refused_and_auto_is_the_cpu(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], asked: Provider
) -> None:
    """On a machine without a GPU, and without a word from the runtime on standard error."""
    path = identity(tmp_path, Datatype.FP32)
    with pytest.raises(FailedPrecondition, match=f"asks for execution provider '{asked}'"):
        opened(path, ServingConfig(provider=asked))
    assert "cpu" == opened(path, ServingConfig(provider=Provider.AUTO)).provider
    assert ("", "") == capfd.readouterr()


WITHOUT_CUDA = pytest.mark.filterwarnings("ignore:Specified provider")
"""ONNX Runtime's build for the CPU warns where it is asked for another provider; both builds are meant."""

LOADS_NO_CUDA = RuntimeDefaults(hardware=lambda: Hardware((TENSORRT, CUDA, CPU), cuda_devices=1))
"""As on a machine whose device is there and whose CUDA libraries are not."""


@pytest.mark.skipif(hardware().has_cuda, reason="this machine has a CUDA device")
@pytest.mark.parametrize("asked", [Provider.CUDA, Provider.TENSORRT])
@WITHOUT_CUDA
def test_a_device_without_its_libraries_is_no_reason_to_run_on_the_cpu(
    tmp_path: Path, asked: Provider
) -> None:
    """ONNX Runtime itself would carry on with the CPU, or name a place in its source."""
    path = identity(tmp_path, Datatype.FP32)
    with pytest.raises(FailedPrecondition, match="could not load the provider's libraries"):
        opened(path, ServingConfig(provider=asked), LOADS_NO_CUDA)


@pytest.mark.skipif(hardware().has_cuda, reason="this machine has a CUDA device")
@WITHOUT_CUDA
def test_auto_says_that_it_fell_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The CPU serves, and a warning names the version."""
    runner = opened(identity(tmp_path, Datatype.FP32), defaults=LOADS_NO_CUDA)
    assert "cpu" == runner.provider
    (warning,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert "CUDA could not be loaded; the version runs on the CPU" == warning.message
    assert "m/1" == warning.__dict__["version"]
