"""The example of differential privacy: what is spent is what was allowed, and costs accuracy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("opacus", reason="pip install 'headrace[privacy]'")

import torch

from examples.private_training.train import digits, export, trained
from headrace.lifecycle.predictors import SessionPredictor

pytestmark = pytest.mark.filterwarnings("ignore")  # of opacus and torch, about themselves


@pytest.mark.toolchain
def test_privacy_is_spent_as_allowed_and_costs_accuracy(tmp_path: Path) -> None:
    """Less epsilon, less accuracy; both models learn, and the graph answers as the model."""
    data = digits(600)
    private, looser = (trained(data, 8, 0, epsilon) for epsilon in (2.0, 50.0))
    assert private.epsilon is not None
    assert 1.5 < private.epsilon <= 2.0
    assert 0.3 < private.accuracy < looser.accuracy
    export(private.model, tmp_path / "private.onnx")
    rows = data.test_x.numpy()
    answered = SessionPredictor(tmp_path / "private.onnx").run({"pixels": rows})["probabilities"]
    with torch.no_grad():
        expected = torch.softmax(private.model(data.test_x), 1).numpy()
    np.testing.assert_allclose(expected, answered, atol=1e-5)


@pytest.mark.toolchain
def test_training_without_privacy_promises_none() -> None:
    """Its epsilon is none, and it is the better model."""
    plain = trained(digits(600), 8, 0)
    assert plain.epsilon is None
    assert plain.accuracy > 0.85
