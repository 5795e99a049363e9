"""Which output of a model is its answer, as a setting says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def outputs_by_model(setting: Sequence[str]) -> Mapping[str, str]:
    """Read `digits=probabilities`. Raises ValueError for anything else."""
    found = {}
    for text in setting:
        model, _, output = text.partition("=")
        if not (model and output):
            raise ValueError(f"{text!r}: MODEL=OUTPUT is expected")
        found[model] = output
    return found
