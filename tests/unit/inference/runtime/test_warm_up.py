"""What a version is warmed with, and what it means when that fails."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from headrace.datatypes import Datatype
from headrace.errors import FailedPrecondition
from headrace.state.records import Batching, ServingConfig, Signature, TensorSpec, WarmUp
from headrace_inference.adapters.runtime import synthetic_inputs, warm_up
from headrace_inference.adapters.runtime.ort_errors import DeviceFailed
from headrace_inference.adapters.runtime.warm_up import Verdict
from headrace_inference.domain.scheduling.runner import OutOfMemory, RunFailed
from tests.unit.inference.runtime.models import Tensor, identity, node, opened, save

FP32 = Datatype.FP32
BATCHING = ServingConfig(batching=Batching(max_batch_size=4))


@pytest.mark.parametrize(
    ("batching", "expected"),
    [
        (Batching(0), (1,)),
        (Batching(1), (1,)),
        (Batching(2), (1, 2)),
        (Batching(8), (1, 8, 2, 4)),
        (Batching(12), (1, 12, 2, 4, 8)),
        (Batching(8, preferred_batch_sizes=(3, 8, 20)), (1, 8, 2, 3, 4)),
        (Batching(8, allowed_batch_sizes=(2, 4, 8)), (2, 8, 4)),
        (Batching(8, allowed_batch_sizes=(8,)), (8,)),
    ],
)
def test_sizes_that_are_warmed(batching: Batching, expected: tuple[int, ...]) -> None:
    """One row, the largest batch, then what lies between; or those that are allowed, and no others."""
    assert expected == warm_up.batch_sizes(batching)


@pytest.mark.parametrize(
    ("shape", "names", "batches", "expected"),
    [
        ((-1, 3), ("n", ""), True, (4, 3)),
        ((-1, -1), ("n", "length"), True, (4, 1)),
        ((-1, -1), ("n", "n"), True, (4, 4)),
        ((-1, -1), ("", ""), True, (4, 1)),
        ((-1, -1), (), False, (1, 1)),
        ((2, 3), (), False, (2, 3)),
        ((), (), False, ()),
        ((), (), True, ()),
    ],
)
def test_shapes_that_are_made_up(
    shape: tuple[int, ...], names: tuple[str, ...], batches: bool, expected: tuple[int, ...]
) -> None:
    """Free dimensions are 1, but for the batch and what has its name."""
    spec = TensorSpec("x", FP32, shape, names)
    assert expected == synthetic_inputs.made_up_shape(spec, 4, batches=batches)


@pytest.mark.parametrize(
    ("shape", "names", "batches", "expected"),
    [
        ((-1, 3), ("n", ""), True, False),
        ((-1, 3), ("n", ""), False, True),
        ((-1, -1), ("n", "length"), True, True),
        ((-1, -1), ("n", "n"), True, False),
        ((-1, -1), (), True, True),
        ((2, 3), (), False, False),
        ((), (), False, False),
    ],
)
def test_when_a_dimension_is_guessed(
    shape: tuple[int, ...], names: tuple[str, ...], batches: bool, expected: bool
) -> None:
    """The batch is no guess: the serving config names it."""
    signature = Signature((TensorSpec("x", FP32, shape, names),), ())
    assert expected == synthetic_inputs.guesses(signature, batches=batches)


@pytest.mark.parametrize("datatype", Datatype)
def test_inputs_of_every_datatype_are_made_up(datatype: Datatype) -> None:
    """Zeros, and empty strings."""
    signature = Signature((TensorSpec("x", datatype, (-1, 2)),), ())
    made = synthetic_inputs.made_up_inputs(signature, 3, batches=True)
    assert made is not None
    assert (3, 2) == made[0].shape
    assert ("" if datatype is Datatype.BYTES else 0) == made[0][0, 0]


@pytest.mark.parametrize("shape", [(1 << 20, 1 << 20), (1 << 62, 1 << 62), (0, 1 << 62)])
def test_inputs_too_large_to_make_up(shape: tuple[int, ...]) -> None:
    """Nothing is allocated for them."""
    signature = Signature((TensorSpec("x", FP32, shape),), ())
    assert synthetic_inputs.made_up_inputs(signature, 1, batches=False) is None


@pytest.mark.parametrize(
    ("failure", "rows", "guessed", "expected"),
    [
        (RunFailed("index out of bounds"), 1, False, Verdict.LOAD_ANYWAY),
        (RunFailed("index out of bounds"), 1, True, Verdict.LOAD_ANYWAY),
        (RunFailed("cannot reshape"), 4, False, Verdict.DOES_NOT_BATCH),
        (RunFailed("cannot reshape"), 4, True, Verdict.LOAD_ANYWAY),
        (OutOfMemory("bad_alloc"), 1, False, Verdict.NO_MEMORY),
        (OutOfMemory("bad_alloc"), 4, False, Verdict.NO_MEMORY),
        (OutOfMemory("bad_alloc"), 4, True, Verdict.LOAD_ANYWAY),
        (DeviceFailed("CUDA failure 700"), 1, True, Verdict.DEVICE_FAILED),
        (DeviceFailed("CUDA failure 700"), 4, False, Verdict.DEVICE_FAILED),
    ],
)
def test_what_a_failed_run_means(
    failure: RunFailed, rows: int, guessed: bool, expected: Verdict
) -> None:
    """Only what made-up inputs cannot have caused fails the load."""
    assert expected == warm_up.judge(failure, rows, guessed=guessed)


def reshapes_to_one_row(folder: Path) -> Path:
    """A graph that states a free batch dimension and runs single rows only."""
    x, y = Tensor("x", FP32, ["n", 4]), Tensor("y", FP32, ["n", 4])
    weights = [("shape", np.array([1, 4], np.int64))]
    return save(folder / "model.onnx", [node("Reshape", ["x", "shape"], ["y"])], [x], [y], weights)


def test_a_model_that_does_not_batch_is_not_loaded_as_one_that_does(tmp_path: Path) -> None:
    """What runs with one row and not with more, on the same values, cannot serve batches."""
    path = reshapes_to_one_row(tmp_path)
    with pytest.raises(FailedPrecondition) as caught:
        opened(path, BATCHING)
    assert "WARM_UP_FAILED" == caught.value.reason
    assert "runs one row but not 4 at once" in caught.value.message
    opened(path).close()


def test_made_up_inputs_that_do_not_suit_fail_no_load(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two free lengths that must differ by one can not be guessed; the record names the shapes."""
    x, y = Tensor("x", FP32, ["a"]), Tensor("y", FP32, ["a"])
    weights = [("w", np.ones((5, 1), np.float32))]
    path = save(tmp_path / "model.onnx", [node("MatMul", ["x", "w"], ["y"])], [x], [y], weights)
    with caplog.at_level(logging.INFO):
        runner = opened(path)
    (record,) = [record for record in caplog.records if "warm-up run failed" in record.message]
    assert [[1]] == record.__dict__["shapes"]
    assert [5.0] == runner.run([np.ones(5, np.float32)])[0].tolist()


def test_no_warm_up_where_none_is_asked(tmp_path: Path) -> None:
    """0 runs: even a model that does not batch is loaded."""
    config = ServingConfig(batching=Batching(max_batch_size=4), warm_up=WarmUp(runs=0))
    opened(reshapes_to_one_row(tmp_path), config).close()


def test_the_probe_of_a_version_is_the_run_that_it_was_warmed_with(tmp_path: Path) -> None:
    """It works while the session does, and says nothing where no run is known to have worked."""
    path = identity(tmp_path, Datatype.FP32)
    warmed, cold = opened(path), opened(path, ServingConfig(warm_up=WarmUp(runs=0)))
    inputs = warmed.warmed_with()
    assert inputs is not None
    assert [(1, 2)] == [array.shape for array in inputs]
    assert ("", "") == (warmed.probe(), cold.probe())
    assert cold.warmed_with() is None
