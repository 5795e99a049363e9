"""Two versions are compared on the same rows, resampled together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headrace.errors import InvalidArgument
from headrace.lifecycle.evaluation import Evaluation, differences
from tests.unit.headrace.lifecycle.evaluation.answering import Array, evaluated

ROWS = 400
X = np.arange(ROWS, dtype=np.float32)
NOISE = np.random.default_rng(2).normal(size=ROWS)


async def regression(better: float, version: int) -> Evaluation:
    """Errors that are the same noise, but for a share of them."""

    def outputs(x: Array) -> dict[str, Array]:
        return {"out": x[:, 0] + NOISE[x[:, 0].astype(int)] * (1 - better)}

    found = await evaluated(outputs, {"x": X, "y": X}, resamples=200)
    return replace(found, version=version)


async def test_shared_noise_falls_out_of_the_difference() -> None:
    """The interval of the difference is far narrower than those of the values."""
    worse, better = await regression(0.0, 1), await regression(0.05, 2)
    (found,) = differences(better, worse, ("mae",))
    value = better.metric("mae")
    assert value is not None
    assert found.lower is not None
    assert found.upper is not None
    assert value.lower is not None
    assert value.upper is not None
    assert found.lower < found.difference < found.upper < 0
    assert (found.upper - found.lower) * 10 < value.upper - value.lower
    assert str(found).endswith("better")
    (same,) = differences(better, better, ("mae",))
    assert str(same).endswith("which may be chance")


async def test_other_rows_are_not_compared() -> None:
    """Nor other tasks, nor metrics that one of them has not."""
    first = await regression(0.0, 1)
    others = (
        (replace(first, data_digest="0" * 64), ("mae",), "are of other rows"),
        (first, ("accuracy",), "'accuracy' has no value of both versions; there are mse"),
    )
    for other, metrics, said in others:
        with pytest.raises(InvalidArgument) as caught:
            differences(first, other, metrics)
        assert said in caught.value.message
