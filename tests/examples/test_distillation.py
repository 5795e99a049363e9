"""A student learns more from its teacher than from the same labels, and is served."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from examples.distillation.train import run
from tests.examples.conftest import Serving


def test_a_student_of_a_teacher_beats_one_of_labels(tmp_path: Path, serving: Serving) -> None:
    """It has a sixtieth of the weights, and is closer to the teacher."""
    teacher, by_labels, distilled = run(tmp_path, labelled=200, epochs=25)
    assert by_labels.weights == distilled.weights < teacher.weights / 50
    assert by_labels.accuracy + 0.01 < distilled.accuracy
    assert teacher.accuracy > 0.9
    serving.push("student", tmp_path / "student-distilled.onnx")
    found = load_digits()
    said = serving.client.infer("student", {"image": found.data[:300].astype(np.float32)})
    assert np.mean(said["probabilities"].argmax(axis=1) == found.target[:300]) > 0.9
