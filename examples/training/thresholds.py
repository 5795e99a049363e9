"""Figures where one class is rare: accuracy alone says little, and half is seldom the right threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from examples.training.intervals import Figure, bootstrapped

Array = npt.NDArray[Any]


def best_threshold(truth: Array, scores: Array) -> float:
    """The score over which to say "yes" for the best F1, of rows that the model was not trained on."""
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(truth, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[np.argmax(f1[:-1])])


def imbalanced_figures(
    truth: Array, scores: Array, threshold: float, *, seed: int
) -> dict[str, Figure]:
    """Accuracy beside what it takes to judge it: that of the commoner class, PR AUC, F1, recall."""
    from sklearn.metrics import average_precision_score, f1_score, recall_score, roc_auc_score

    common = round(float(np.mean(truth)))
    said = (scores > threshold).astype(int)
    return {
        "accuracy": bootstrapped(_share_equal, truth, said, seed=seed),
        "accuracy of always the same": bootstrapped(
            _share_equal, truth, np.full_like(truth, common), seed=seed
        ),
        "f1": bootstrapped(f1_score, truth, said, seed=seed),
        "recall": bootstrapped(recall_score, truth, said, seed=seed),
        "roc_auc": bootstrapped(roc_auc_score, truth, scores, seed=seed),
        "pr_auc": bootstrapped(average_precision_score, truth, scores, seed=seed),
    }


def _share_equal(truth: Array, said: Array) -> float:
    return float(np.mean(truth == said))
