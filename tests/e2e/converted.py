"""Trains classifiers and converts them as their converters do by default: `converted.py FOLDER`.

Runs in an environment of its own, which has the converters and not Headrace.
"""

# mypy: ignore-errors

from __future__ import annotations

import sys
from pathlib import Path

import lightgbm
import numpy as np
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

folder = Path(sys.argv[1])
rows, numbers = load_iris(return_X_y=True)
rows = rows.astype(np.float32)
texts = np.array(["setosa", "versi color", "virginica"])[numbers]
linear, forest = LogisticRegression(max_iter=300), RandomForestClassifier(5, random_state=0)
vote = VotingClassifier([("a", linear), ("b", forest)], voting="soft", flatten_transform=False)
boosted = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1)
lightgbm_inputs = [("X", FloatTensorType([None, 4]))]

models = {
    "linear": to_onnx(linear.fit(rows, numbers), rows[:1]),
    "forest": to_onnx(make_pipeline(StandardScaler(), forest).fit(rows, texts), rows[:1]),
    "vote": to_onnx(vote.fit(rows, numbers), rows[:1]),
    "boosted": convert_lightgbm(boosted.fit(rows, texts), initial_types=lightgbm_inputs),
}
for name, model in models.items():
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
