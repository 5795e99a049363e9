"""Samples of a serving config: what is read, what is refused, and what a failed run of one means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from headrace.datatypes import BFLOAT16, NUMPY_DTYPES, Datatype, to_wire
from headrace.errors import FailedPrecondition, InvalidArgument
from headrace.state.records import (
    Batching,
    Sample,
    SampleInput,
    ServingConfig,
    Signature,
    SyntheticData,
    TensorSpec,
    VersionRecord,
    WarmUp,
)
from headrace_inference.adapters.runtime import synthetic_inputs
from headrace_inference.adapters.runtime.warm_up_inputs import warm_up_inputs
from headrace_inference.domain.scheduling.requests import Array
from tests.unit.inference.runtime.models import Tensor, identity, node, opened, record_of, save

RANDOM = SyntheticData.RANDOM


def record(
    given: SampleInput,
    shape: tuple[int, ...] = (-1, 2),
    datatype: Datatype = Datatype.FP32,
    max_batch_size: int = 4,
) -> VersionRecord:
    """A version with one input and one sample of it."""
    sample = Sample("day", {"x": given})
    config = ServingConfig(Batching(max_batch_size), warm_up=WarmUp(samples=(sample,)))
    signature = Signature((TensorSpec("x", datatype, shape),), ())
    return VersionRecord("m", 1, "digest", (), "model.onnx", signature, config, created_at=0.0)


def made(version: VersionRecord, folder: Path, rows: int) -> Array:
    """The one input of so many rows."""
    (given,) = warm_up_inputs(version, folder)
    inputs = given.make(rows)
    assert inputs is not None
    return inputs[0]


def refusal(version: VersionRecord, folder: Path) -> str:
    """Why the sample is refused."""
    with pytest.raises(InvalidArgument) as caught:
        warm_up_inputs(version, folder)
    assert "WARM_UP_SAMPLE_INVALID" == caught.value.reason
    assert "'day'" in caught.value.message
    return caught.value.message


@pytest.mark.parametrize("datatype", Datatype)
@pytest.mark.parametrize("shape", [(3, 2), (), (0, 2)])
def test_random_inputs_of_every_datatype(datatype: Datatype, shape: tuple[int, ...]) -> None:
    """They lie between 0 and 1, whole numbers are both, strings are digits; twice they are the same."""
    values = synthetic_inputs.made_up_values(datatype, shape, RANDOM, 1 << 20)
    again = synthetic_inputs.made_up_values(datatype, shape, RANDOM, 1 << 20)
    assert values is not None
    assert again is not None
    assert (shape, NUMPY_DTYPES[datatype]) == (values.shape, values.dtype)
    assert values.tolist() == again.tolist()
    if datatype is Datatype.BYTES:
        assert all(isinstance(text, str) and text.isdigit() for text in values.ravel())
    elif values.size:
        numbers = values.astype(np.float64)
        assert 0 <= numbers.min()
        assert 1 >= numbers.max()


def test_a_config_can_ask_for_random_inputs(tmp_path: Path) -> None:
    """What is made up is what it says, for every batch size."""
    path = identity(tmp_path, Datatype.FP32)
    version = record_of(path, ServingConfig(Batching(4), warm_up=WarmUp(data=RANDOM)))
    (given,) = warm_up_inputs(version, tmp_path)
    inputs = given.make(4)
    assert inputs is not None
    assert (4, 2) == inputs[0].shape
    assert 8 == len(set(inputs[0].ravel().tolist()))


@pytest.mark.parametrize("datatype", [each for each in Datatype if each is not Datatype.BYTES])
def test_a_raw_file_is_one_row_that_repeats(tmp_path: Path, datatype: Datatype) -> None:
    """Little-endian bytes as on the wire, for every datatype."""
    row = np.array([1, 0], NUMPY_DTYPES[datatype])
    (tmp_path / "raw").write_bytes(to_wire(row))
    values = made(record(SampleInput("raw"), datatype=datatype), tmp_path, 3)
    assert row.dtype == values.dtype
    assert [[1, 0]] * 3 == values.astype(int).tolist()


def test_a_raw_file_of_strings(tmp_path: Path) -> None:
    """Each after its length."""
    (tmp_path / "raw").write_bytes(to_wire(np.array(["ä", ""])))
    values = made(record(SampleInput("raw"), datatype=Datatype.BYTES), tmp_path, 2)
    assert [["ä", ""], ["ä", ""]] == values.tolist()


@pytest.mark.parametrize(
    ("array", "datatype", "expected"),
    [
        (np.array([1, 2], np.float32), Datatype.FP32, [[1, 2]] * 3),
        (np.array([[1, 2], [3, 4]], np.float32), Datatype.FP32, [[1, 2], [3, 4], [1, 2]]),
        (np.asfortranarray(np.array([[1, 2], [3, 4]], "i8")), Datatype.INT64, [[1, 2], [3, 4]]),
        (np.array(["a", "bc"]), Datatype.BYTES, [["a", "bc"]]),
        (np.array([b"a", b"bc"]), Datatype.BYTES, [["a", "bc"]]),
        (np.array([1, 0], BFLOAT16), Datatype.BF16, [[1, 0]]),
        (np.array([1, 0], BFLOAT16).view(np.uint16), Datatype.BF16, [[1, 0]]),
    ],
)
def test_an_npy_file_is_a_row_or_rows_that_take_turns(
    tmp_path: Path, array: Array, datatype: Datatype, expected: list[list[object]]
) -> None:
    """The number of its dimensions says which."""
    np.save(tmp_path / "rows.npy", array)
    version = record(SampleInput("rows.npy"), datatype=datatype)
    assert expected == made(version, tmp_path, len(expected)).tolist()


def test_without_batching_a_file_is_the_whole_input(tmp_path: Path) -> None:
    """Its free dimensions are those of the file, or of the sample."""
    np.save(tmp_path / "all.npy", np.zeros((5, 2), np.float32))
    version = record(SampleInput("all.npy"), max_batch_size=0)
    assert (5, 2) == made(version, tmp_path, 1).shape
    (tmp_path / "raw").write_bytes(bytes(3 * 2 * 4))
    version = record(SampleInput("raw", shape=(3, 2)), max_batch_size=0)
    assert (3, 2) == made(version, tmp_path, 1).shape


def test_a_sample_can_size_what_the_model_leaves_open(tmp_path: Path) -> None:
    """Also for values that are made up."""
    version = record(SampleInput(data=RANDOM, shape=(7,)), shape=(-1, -1))
    assert (4, 7) == made(version, tmp_path, 4).shape


@pytest.mark.parametrize(
    ("given", "shape", "expected"),
    [
        (SampleInput("gone"), (-1, 2), "there is no file 'gone' in the artifact"),
        (SampleInput("raw"), (-1, 2), "'raw' has 12 bytes; FP32 [2] has 8"),
        (SampleInput("raw"), (-1, -1), "the model leaves [-1] open: say the file's shape"),
        (SampleInput("raw", shape=(4,)), (-1, -1), "'raw' has 12 bytes; FP32 [4] has 16"),
        (SampleInput("raw", shape=(3,)), (-1, 2), "its shape is [3]; one row without the batch"),
        (SampleInput(shape=(1, 2)), (-1, 2), "its shape is [1, 2]; one row without the batch"),
        (SampleInput("raw.npy"), (-1, 2), "'raw.npy' is not a .npy file"),
        (SampleInput("pickled.npy"), (-1, 2), "'pickled.npy' is not a .npy file"),
        (
            SampleInput("three.npy"),
            (-1, 2),
            "'three.npy' is float32 [1, 3]; it must be FP32 [-1, 2]",
        ),
        (SampleInput("whole.npy"), (-1, 2), "'whole.npy' is int32 [1, 2]; it must be FP32"),
        (SampleInput("empty.npy"), (-1, 2), "'empty.npy' is float32 [0, 2]"),
    ],
)
def test_what_does_not_suit_is_refused(
    tmp_path: Path, given: SampleInput, shape: tuple[int, ...], expected: str
) -> None:
    """With the sample, the input, and what was expected."""
    (tmp_path / "raw").write_bytes(bytes(12))
    (tmp_path / "raw.npy").write_bytes(bytes(12))
    np.save(tmp_path / "pickled.npy", np.array([{}, {}], object), allow_pickle=True)
    np.save(tmp_path / "three.npy", np.zeros(3, np.float32))
    np.save(tmp_path / "whole.npy", np.zeros(2, np.int32))
    np.save(tmp_path / "empty.npy", np.zeros((0, 2), np.float32))
    assert expected in refusal(record(given, shape), tmp_path)


def npy(header: str, data: bytes = bytes(8), version: int = 1) -> bytes:
    """A file with this header."""
    text = header.encode() + b"\n"
    size = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        b"PK\x03\x04" + bytes(100),
        npy("{"),
        npy("(" * 5000),
        npy("-" * 5000 + "1"),
        npy("{'descr': '<f4'}"),
        npy("{'descr': '<f99', 'fortran_order': False, 'shape': (2,)}"),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"),
        npy("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (True, 2.0)}"),
        npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**63}, {2**63})}}"),
        npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': (0, {10**30})}}", b""),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", bytes(8), 2) + b"x",
    ],
)
def test_files_that_are_no_npy_are_refused(tmp_path: Path, data: bytes) -> None:
    """Whatever is in them: they come from anybody, and no object is made of their bytes."""
    (tmp_path / "x.npy").write_bytes(data)
    assert "is not a .npy file" in refusal(record(SampleInput("x.npy")), tmp_path)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (to_wire(np.array(["a"])), "'raw' has 1 strings, and not 2"),
        (to_wire(np.array(["a", "b", "c"])), "'raw' has more strings, and not 2"),
        (to_wire(np.array(["a", "b"]))[:-1], "incomplete string data"),
        (to_wire(np.array([b"\xff", b"b"])), "has a string that is not valid UTF-8"),
    ],
)
def test_strings_that_do_not_suit_are_refused(tmp_path: Path, raw: bytes, expected: str) -> None:
    """A file says how many it has only when it is read."""
    (tmp_path / "raw").write_bytes(raw)
    version = record(SampleInput("raw"), datatype=Datatype.BYTES)
    assert expected in refusal(version, tmp_path)


def test_a_sample_gives_every_input(tmp_path: Path) -> None:
    """And no other: nothing of a sample is guessed."""
    version = record(SampleInput())
    sample = Sample("day", {"y": SampleInput()})
    config = replace(version.config, warm_up=WarmUp(samples=(sample,)))
    message = refusal(replace(version, config=config), tmp_path)
    assert "gives the inputs 'y', not the inputs 'x'" in message


def test_inputs_that_would_be_too_large_are_not_made(tmp_path: Path) -> None:
    """Neither made up nor from a file that repeats."""
    np.save(tmp_path / "row.npy", np.zeros(1 << 20, np.float32))
    for given in (SampleInput("row.npy"), SampleInput(data=RANDOM)):
        (inputs,) = warm_up_inputs(record(given, (-1, 1 << 20), max_batch_size=512), tmp_path)
        assert inputs.make(512) is None
        assert inputs.make(2) is not None


def picks_a_word(folder: Path) -> Path:
    """A graph with a table of 100 words, of which each row picks one by index."""
    x, y = Tensor("x", Datatype.INT64, ["n"]), Tensor("y", Datatype.FP32, ["n"])
    table = [("table", np.arange(100, dtype=np.float32))]
    return save(folder / "model.onnx", [node("Gather", ["table", "x"], ["y"])], [x], [y], table)


def test_every_batch_size_is_run_with_every_sample(tmp_path: Path) -> None:
    """The version is loaded, and its probe is the first sample's first run."""
    path = picks_a_word(tmp_path)
    np.save(tmp_path / "days.npy", np.array([98, 99], np.int64))
    samples = (
        Sample("files", {"x": SampleInput("days.npy")}, runs=2),
        Sample("random", {"x": SampleInput(data=RANDOM)}),
    )
    runner = opened(path, ServingConfig(Batching(4), warm_up=WarmUp(samples=samples)))
    inputs = runner.warmed_with()
    assert inputs is not None
    assert [98] == inputs[0].tolist()
    assert "" == runner.probe()


@pytest.mark.parametrize(
    "batching", [Batching(2), Batching(64, allow_larger_requests=True)], ids=["asked", "proposed"]
)
def test_a_given_sample_that_fails_fails_the_load(tmp_path: Path, batching: Batching) -> None:
    """It is no guess: the second row is over the table's end, so two rows do not run."""
    path = picks_a_word(tmp_path)
    np.save(tmp_path / "days.npy", np.array([99, 100], np.int64))
    sample = Sample("days of a year", {"x": SampleInput("days.npy")})
    with pytest.raises(FailedPrecondition) as caught:
        opened(path, ServingConfig(batching, warm_up=WarmUp(samples=(sample,))))
    assert "WARM_UP_FAILED" == caught.value.reason
    assert "does not run 2 rows of its warm-up sample 'days of a year'" in caught.value.message


def test_the_probe_is_unknown_where_its_file_is_gone(tmp_path: Path) -> None:
    """A version goes on without what it was warmed with."""
    path = picks_a_word(tmp_path)
    np.save(tmp_path / "days.npy", np.array([1], np.int64))
    sample = Sample("day", {"x": SampleInput("days.npy")})
    runner = opened(path, ServingConfig(Batching(2), warm_up=WarmUp(samples=(sample,))))
    (tmp_path / "days.npy").unlink()
    assert "" == runner.probe()
