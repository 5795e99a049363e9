"""The analysis in a process of its own, run as the checker does: in a process without other threads."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from headrace_registry.adapters.batch_invariance import analyse
from tests.unit.registry.batch_invariance.row_graphs import model, node

RELU = model([node("Relu", "x")])

_SCRIPT = """
import onnx, os, sys, time
from headrace_registry.adapters.batch_invariance import isolation
{before}
model = onnx.ModelProto.FromString(sys.stdin.buffer.read())
started = time.monotonic()
found = isolation.analyse_apart(model)
assert time.monotonic() - started < 20
print(repr(found.obstacle))
"""


def apart(before: str = "") -> str:
    """The obstacle that the analysis of a small graph finds after something was done to it."""
    ran = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(before=before)],
        input=RELU.SerializeToString(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    return str(ran.stdout.decode()).strip()


@pytest.mark.parametrize(
    ("expected", "before"),
    [
        ("''", ""),
        (
            "'the analysis of its graph was ended by SIGABRT'",
            "isolation.analyse = lambda _: os.abort()",
        ),
        ("'the analysis of its graph failed'", "isolation.analyse = lambda _: 1 / 0"),
        (
            "'the analysis of its graph took more than 0.3 s'",
            "isolation.MAX_SECONDS = 0.3; isolation.analyse = lambda _: time.sleep(60)",
        ),
        ("'the analysis of its graph failed'", "isolation.analyse = lambda _: print('noise')"),
    ],
    ids=["proven", "aborted", "raised", "hung", "prints"],
)
def test_whatever_becomes_of_the_analysis_is_no_proof(expected: str, before: str) -> None:
    """A crash, a hang or an exception says why there is none, and nothing else happens."""
    assert expected == apart(before)


def test_weights_are_not_copied() -> None:
    """A model of 400 MB is analysed as fast as its graph is small; its weights are constants."""
    weight = np.zeros((10_000, 10_000), np.float32)
    built = model(
        [node("MatMul", "x", "w", outputs=["h"]), node("ReduceMean", "h", "a")],
        weights={"w": weight, "a": np.array([1])},
    )
    assert "sums" not in analyse(built).obstacle
