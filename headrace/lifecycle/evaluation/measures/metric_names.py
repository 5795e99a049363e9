"""The names of metrics: those of the monitor's figures where it has them, with classes behind a dot."""

from __future__ import annotations

import re
from collections.abc import Sequence

_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_.-]")
_LONGEST = 80

_BOUNDED = frozenset(
    [
        *("accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc"),
        *(
            "average_precision",
            "exact_match",
            "normalised_match",
            "prefix_match",
            "contains_match",
            "subset_accuracy",
        ),
        *("hamming_loss", "calibration_error", "ndcg", "hit_rate", "mrr", "missing_predictions"),
    ]
)
_AVERAGES = re.compile(r"_(macro|weighted|micro)$|_at_\d+$")


def is_share(metric: str) -> bool:
    """Return whether a metric lies between 0 and 1."""
    return _stem(metric) in _BOUNDED


def class_suffixes(classes: Sequence[str]) -> tuple[str, ...]:
    """Classes as names of metrics have them: letters, digits, `_`, `.` and `-`, no two alike."""
    found: list[str] = []
    for text in classes:
        plain = _FORBIDDEN.sub("_", text)[:_LONGEST] or "_"
        same = sum(1 for each in found if each == plain or each.startswith(f"{plain}~"))
        found.append(plain if not same else f"{plain}~{same + 1}")
    return tuple(each.replace("~", "_") for each in found)


def _stem(metric: str) -> str:
    return _AVERAGES.sub("", metric.partition(".")[0])
