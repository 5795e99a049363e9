"""KernelSHAP by the package shap: Shapley values from a weighted regression over sampled coalitions."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import numpy as np

from headrace.lifecycle.explanation.attributions import Attribution, Method, counting
from headrace.lifecycle.explanation.game import Game
from headrace.lifecycle.extras import from_extra

_EXTRA_SAMPLES = 2048
_ENUMERATED = 30
"""Of more features 2**features is more than anybody samples."""


def kernel_samples(features: int, samples: int = 0) -> int:
    """The coalitions that shap draws; 0: its own default, 2 a feature and 2,048."""
    wanted = samples or 2 * features + _EXTRA_SAMPLES
    return min(wanted, 2**features) if features <= _ENUMERATED else wanted


def kernel_shap_rows(features: int, backgrounds: int, samples: int = 0) -> int:
    """The rows that it asks at most."""
    return (kernel_samples(features, samples) + 2) * backgrounds


async def kernel_shap(game: Game, samples: int = 0, seed: int = 0) -> Attribution:
    """Raises FailedPrecondition (LIFECYCLE_EXTRA_MISSING) without the package; as Game.values does."""
    shap = _imported()
    loop = asyncio.get_running_loop()

    def answers(coalitions: Any) -> Any:
        masks = np.asarray(coalitions) > 0.5
        return asyncio.run_coroutine_threadsafe(game.values(masks), loop).result()

    with counting(game.asker) as cost:
        values = await asyncio.to_thread(_fitted, shap, answers, game.features, samples, seed)
        whole, nothing = await game.value(), await game.baseline_value()
    return Attribution(
        Method.KERNEL_SHAP,
        tuple(values.tolist()),
        gap=float(whole - nothing - values.sum()),
        rows=cost.rows,
        requests=cost.requests,
        notes=(f"a regression over {kernel_samples(game.features, samples)} coalitions",),
    )


def _imported() -> Any:
    """The package; what it does with others' deprecated functions is no caller's business."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return from_extra("shap", "KernelSHAP", "explain")


def _fitted(shap: Any, answers: Any, features: int, samples: int, seed: int) -> Any:
    """The values. shap draws from numpy's global generator, which is as it was afterwards."""
    before = np.random.get_state()  # shap's
    np.random.seed(seed)
    try:
        explainer = shap.KernelExplainer(answers, np.zeros((1, features)))
        drawn = kernel_samples(features, samples)
        found = explainer.shap_values(np.ones((1, features)), nsamples=drawn, l1_reg=0, silent=True)
    finally:
        np.random.set_state(before)
    return np.asarray(found, np.float64).reshape(features)
