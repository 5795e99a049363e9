"""Sessions opened with what a serving config says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headrace.datatypes import BFLOAT16, Datatype
from headrace.errors import FailedPrecondition
from headrace.state.records import (
    ExecutionMode,
    ServingConfig,
    SessionOptions,
)
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from tests.operator_library import LIBRARY, operator_folder, shouting
from tests.unit.inference.runtime.models import identity, opened

ROW = np.array([[1.5, -2.0]], np.float32)


@pytest.mark.parametrize(
    "session",
    [
        SessionOptions(execution_mode=ExecutionMode.PARALLEL),
        SessionOptions(execution_mode=ExecutionMode.SEQUENTIAL, inter_op_threads=2),
        SessionOptions(cpu_memory_arena=False),
        SessionOptions(memory_pattern=False),
        SessionOptions(io_binding=True),
        SessionOptions(io_binding=False),
        SessionOptions(free_dimensions={"n": 1}),
    ],
)
def test_a_version_answers_alike_whatever_its_options(
    tmp_path: Path, session: SessionOptions
) -> None:
    """They say how it is computed, not what."""
    runner = opened(identity(tmp_path, Datatype.FP32), ServingConfig(session=session))
    assert ROW.tolist() == runner.run([ROW])[0].tolist()


def test_bf16_is_bound_whatever_is_asked(tmp_path: Path) -> None:
    """There is no other way to run it."""
    session = SessionOptions(io_binding=False)
    runner = opened(identity(tmp_path, Datatype.BF16), ServingConfig(session=session))
    assert ROW.tolist() == runner.run([ROW.astype(BFLOAT16)])[0].tolist()


def test_texts_are_not_bound_whatever_is_asked(tmp_path: Path) -> None:
    """A binding takes none: the registry refuses such a config, and older records may have it."""
    session = SessionOptions(io_binding=True)
    runner = opened(identity(tmp_path, Datatype.BYTES), ServingConfig(session=session))
    assert [["a", "b"]] == runner.run([np.array([["a", "b"]], np.object_)])[0].tolist()


def test_operators_come_from_the_folder_of_the_setting(tmp_path: Path) -> None:
    """A version that names its library runs, and without the folder is refused by name of the setting."""
    folder = operator_folder(tmp_path / "operators")
    path = tmp_path / "model.onnx"
    path.write_bytes(shouting())
    config = ServingConfig(session=SessionOptions(custom_operators=(LIBRARY,)))
    runner = opened(path, config, RuntimeDefaults(custom_operators=folder))
    assert ["ABC"] == runner.run([np.array(["abc"], np.object_)])[0].tolist()
    with pytest.raises(FailedPrecondition) as caught:
        opened(path, config)
    assert "CUSTOM_OPERATORS_UNAVAILABLE" == caught.value.reason
    assert "set custom_operators of the registry and of every replica" in caught.value.message


@pytest.mark.parametrize("name", ["gone.so", "../elsewhere.so", "/lib/x86_64-linux-gnu/libm.so.6"])
def test_a_library_elsewhere_is_none(tmp_path: Path, name: str) -> None:
    """A record that names one by a path leads nowhere, whatever the registry let through."""
    folder = tmp_path / "operators"
    folder.mkdir()
    (folder / "there.so").write_bytes(b"")
    (tmp_path / "elsewhere.so").write_bytes(b"")
    config = ServingConfig(session=SessionOptions(custom_operators=(name,)))
    with pytest.raises(FailedPrecondition) as caught:
        opened(identity(tmp_path, Datatype.FP32), config, RuntimeDefaults(custom_operators=folder))
    assert "CUSTOM_OPERATORS_UNAVAILABLE" == caught.value.reason
    assert "the folder of this service has: there.so" in caught.value.message


def test_a_library_that_is_none_is_refused(tmp_path: Path) -> None:
    """With the runtime's own words."""
    folder = tmp_path / "operators"
    folder.mkdir()
    (folder / "text.so").write_bytes(b"no library")
    config = ServingConfig(session=SessionOptions(custom_operators=("text.so",)))
    with pytest.raises(FailedPrecondition) as caught:
        opened(identity(tmp_path, Datatype.FP32), config, RuntimeDefaults(custom_operators=folder))
    assert "CUSTOM_OPERATORS_UNAVAILABLE" == caught.value.reason
    assert "cannot load 'text.so'" in caught.value.message
