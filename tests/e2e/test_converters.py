"""Classifiers as converters of scikit-learn and LightGBM make them by default."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from headrace import Client
from tests.e2e.served import Addresses, serving

PYTHON = Path(sys.prefix) / "clients/converters/bin/python"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.toolchain,
    pytest.mark.skipif(not PYTHON.exists(), reason="no converters: make e2e installs them"),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the converters give."""
    folder = tmp_path_factory.mktemp("converted")
    script = Path(__file__).with_name("converted.py")
    subprocess.run([PYTHON, "-I", script, folder], check=True, timeout=120)
    return {path.stem: path.read_bytes() for path in folder.glob("*.onnx")}


@pytest.fixture(scope="module")
def replica(
    models: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Addresses]:
    """A suite that serves them."""
    with serving(tmp_path_factory.mktemp("suite"), models) as addresses:
        yield addresses


def test_they_answer_as_onnx_runtime_does(models: dict[str, bytes], replica: Addresses) -> None:
    """Labels as they are, and the maps' numbers as a column for each class."""
    rows = np.random.default_rng(0).normal(3, 2, (5, 4)).astype(np.float32)
    assert {"linear", "forest", "vote", "boosted"} == models.keys()
    with Client(inference=replica.grpc, registry=replica.registry) as client:
        for name, model in models.items():
            labels, maps = onnxruntime.InferenceSession(model).run(None, {"X": rows})
            version = client.version(name, 1)
            label, probability = version.signature.outputs
            found = client.infer(name, {"X": rows}).outputs
            want = np.array([[row[each] for each in sorted(row)] for row in maps], np.float32)
            assert labels.tolist() == _texts(found[label.name].tolist())
            np.testing.assert_array_equal(want, found[probability.name], strict=True)
            assert (-1, 3) == probability.shape
            assert any("ZipMap" in notice for notice in version.notices)


def _texts(values: list[Any]) -> list[Any]:
    return [value.decode() if isinstance(value, bytes) else value for value in values]
