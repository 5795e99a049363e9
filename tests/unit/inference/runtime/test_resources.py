"""What an open version takes, what closing it gives back, and how long opening may last."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from headrace.datatypes import Datatype
from headrace.errors import FailedPrecondition
from headrace.machine.memory import resident_bytes
from headrace.state.records import ServingConfig, SessionOptions
from headrace_inference.adapters.allocator import (
    AllocatorName,
    library_of,
)
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.load_limit import LoadBounds
from tests.unit.inference.runtime.models import Tensor, identity, node, opened, save

MEGABYTE = 1_000_000
LAYERS = 25

PRELOADED: list[AllocatorName] = ["tcmalloc", "jemalloc"]
ALLOCATORS: list[AllocatorName] = ["system", *filter(library_of, PRELOADED)]
"""Those that are installed here."""


def heavy(folder: Path) -> Path:
    """A chain of layers with 105 MB of weights."""
    random = np.random.default_rng(7)
    weights = [
        (f"w{place}", random.standard_normal((1024, 1024)).astype(np.float32))
        for place in range(LAYERS)
    ]
    nodes = [
        node("MatMul", [f"t{place}", f"w{place}"], [f"t{place + 1}"]) for place in range(LAYERS)
    ]
    first, last = (Tensor(f"t{place}", Datatype.FP32, ["n", 1024]) for place in (0, LAYERS))
    return save(folder / "model.onnx", nodes, [first], [last], weights)


MEASURE = """
import sys
from pathlib import Path
from headrace.machine.memory import resident_bytes
from tests.unit.inference.runtime.models import Datatype, identity, opened, record_of
from headrace_inference.adapters.allocator import return_freed_memory
from headrace_inference.adapters.runtime.onnx_runtime import open_session
opened(identity(Path(sys.argv[2]), Datatype.FP32)).close()
record = record_of(Path(sys.argv[1]))
return_freed_memory()
before = resident_bytes()
runner = open_session(Path(sys.argv[1]), record)
held = resident_bytes() - before
stated = runner.memory_bytes
runner.close()
print(held, stated, resident_bytes() - before)
"""


@pytest.mark.parametrize("name", ALLOCATORS)
def test_closing_gives_the_memory_back(tmp_path: Path, name: AllocatorName) -> None:
    """A model of 105 MB takes that once, says so, and is gone when it is closed, with every allocator."""
    environ = os.environ | ({} if name == "system" else {"LD_PRELOAD": library_of(name)})
    small = tmp_path / "small"
    small.mkdir()
    command = [sys.executable, "-c", MEASURE, str(heavy(tmp_path)), str(small)]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env=environ
    )
    held, stated, left = map(int, result.stdout.split())
    assert 100 * MEGABYTE < held < 140 * MEGABYTE
    assert abs(stated - held) < 20 * MEGABYTE
    assert left < held / 4


def test_resident_memory_grows_with_what_is_held() -> None:
    """A block that is written counts."""
    before = resident_bytes()
    with mmap.mmap(
        -1, 50 * MEGABYTE
    ) as block:  # an allocator may give one that has been held before
        block.write(b"1" * len(block))
        assert resident_bytes() - before > 40 * MEGABYTE


def endless(folder: Path, step: Any, size: int = 1) -> Path:
    """A graph whose loop goes on for 2**62 turns, each of which makes `next` of `value` and x."""
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [node("Identity", ["go"], ["go_on"]), step],
        "body",
        [
            info("turn", TensorProto.INT64, []),
            info("go", TensorProto.BOOL, []),
            info("value", TensorProto.FLOAT, ["m"]),
        ],
        [info("go_on", TensorProto.BOOL, []), info("next", TensorProto.FLOAT, ["k"])],
    )
    x, y = Tensor("x", Datatype.FP32, [size]), Tensor("y", Datatype.FP32, ["n"])
    loop = node("Loop", ["turns", "true", "x"], ["y"], body=body)
    weights = [("turns", np.array(2**62)), ("true", np.array([True]).reshape(()))]
    return save(folder / "model.onnx", [loop], [x], [y], weights)


def test_an_endless_graph_is_given_up(tmp_path: Path) -> None:
    """The warm-up is ended from outside, and the reason names the limit."""
    config = ServingConfig(session=SessionOptions(intra_op_threads=1))
    with pytest.raises(FailedPrecondition) as caught:
        opened(
            endless(tmp_path, node("Add", ["value", "x"], ["next"])),
            config,
            RuntimeDefaults(load_bounds=LoadBounds(seconds=0.3)),
        )
    assert "LOAD_TIMEOUT" == caught.value.reason
    assert {"limit_seconds": "0.3"} == caught.value.facts


def test_a_load_that_eats_the_memory_is_given_up(tmp_path: Path) -> None:
    """A warm-up that grows by a megabyte a turn is ended, and the reason names the setting."""
    growing = endless(tmp_path, node("Concat", ["value", "x"], ["next"], axis=0), size=262_144)
    config = ServingConfig(session=SessionOptions(intra_op_threads=1))
    defaults = RuntimeDefaults(load_bounds=LoadBounds(memory_bytes=100 * MEGABYTE))
    with pytest.raises(FailedPrecondition) as caught:
        opened(growing, config, defaults)
    assert "LOAD_TOO_LARGE" == caught.value.reason
    assert "max_load_memory_bytes" == caught.value.facts["setting"]


def test_a_load_within_its_bounds_is_left_alone(tmp_path: Path) -> None:
    """A limit that is not reached changes nothing."""
    bounds = LoadBounds(seconds=60, memory_bytes=1000 * MEGABYTE)
    runner = opened(identity(tmp_path, Datatype.FP32), None, RuntimeDefaults(load_bounds=bounds))
    assert (1, 2) == runner.run([np.ones((1, 2), np.float32)])[0].shape
