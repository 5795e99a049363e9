"""Decides which methods are taken, how hard they try, and how many rows each will ask at most."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from headrace.lifecycle.explanation.asking import MAX_ROWS
from headrace.lifecycle.explanation.attributions import Attribution, Method
from headrace.lifecycle.explanation.game import Game
from headrace.lifecycle.explanation.image_features import (
    WINDOW,
    ImageGrid,
    window_occlusion,
    window_rows,
)
from headrace.lifecycle.explanation.maskers import Masker
from headrace.lifecycle.explanation.methods import integrated_gradients as gradients
from headrace.lifecycle.explanation.methods.kernel_shap import kernel_shap, kernel_shap_rows
from headrace.lifecycle.explanation.methods.occlusion import (
    leave_one_in,
    occlusion,
    occlusion_rows,
)
from headrace.lifecycle.explanation.methods.shapley import PAIRS, shapley, shapley_rows
from headrace.lifecycle.explanation.refusals import invalid

SHAPLEY_FEATURES = 64
"""Up to so many features Shapley values are taken without being asked for."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard methods try, and the rows that all of them together may ask."""

    pairs: int = PAIRS
    """Pairs of random orders, for Shapley values of many features."""
    steps: int = gradients.STEPS
    """Points on the way, for integrated gradients."""
    samples: int = 0
    """Coalitions, for KernelSHAP; 0: 2 a feature and 2,048."""
    window: int = WINDOW
    """Patches a side that are hidden at once, in images."""
    seed: int = 0
    max_rows: int = MAX_ROWS

    def __post_init__(self) -> None:
        """Raises InvalidArgument (EXPLANATION_INVALID) for less than nothing."""
        least = {"pairs": 2, "steps": 1, "samples": 0, "window": 1, "seed": 0, "max_rows": 1}
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise invalid(f"{name} is {getattr(self, name)}: take {lowest} or more")


@dataclass(frozen=True, slots=True)
class Task:
    """A method that is ready to run, and the rows that it asks at most."""

    method: Method
    rows: int
    run: Callable[[Game], Awaitable[Attribution]]


def plan(
    masker: Masker, grid: ImageGrid | None, methods: Sequence[Method | str], effort: Effort
) -> list[Task]:
    """The tasks, in the order of their methods.

    Raises InvalidArgument (EXPLANATION_INVALID) for a word that is no method, or one that cannot be taken.
    """
    chosen = [_method(each) for each in methods] or _by_default(masker, grid)
    if Method.INTEGRATED_GRADIENTS in chosen and (wrong := gradients.why_not(masker)):
        raise invalid(f"{wrong}: take occlusion or Shapley values")
    return [_task(each, masker, grid, effort) for each in dict.fromkeys(chosen)]


def possible(masker: Masker) -> list[Method]:
    """All methods that can be taken here."""
    without = {Method.INTEGRATED_GRADIENTS} if gradients.why_not(masker) else set()
    return [each for each in Method if each not in without]


def _method(word: Method | str) -> Method:
    try:
        return Method(word)
    except ValueError:
        raise invalid(f"{word!r} is no method; there are {', '.join(Method)}") from None


def _by_default(masker: Masker, grid: ImageGrid | None) -> list[Method]:
    """Occlusion always; the others where they are cheap and mean something."""
    chosen = [Method.OCCLUSION]
    if grid is None and not gradients.why_not(masker):
        chosen.append(Method.INTEGRATED_GRADIENTS)
    if len(masker.features) <= SHAPLEY_FEATURES:
        chosen.append(Method.SHAPLEY)
    return chosen


def _task(method: Method, masker: Masker, grid: ImageGrid | None, effort: Effort) -> Task:
    count, backgrounds = len(masker.features), masker.backgrounds
    match method:
        case Method.OCCLUSION if grid is not None:
            rows = window_rows(grid, backgrounds, effort.window)
            return Task(method, rows, partial(window_occlusion, grid=grid, window=effort.window))
        case Method.OCCLUSION:
            return Task(method, occlusion_rows(count, backgrounds), occlusion)
        case Method.LEAVE_ONE_IN:
            return Task(method, occlusion_rows(count, backgrounds), leave_one_in)
        case Method.INTEGRATED_GRADIENTS:
            elements = sum(len(feature.places) for feature in masker.features)
            rows = gradients.integrated_gradients_rows(elements, backgrounds, effort.steps)
            run = partial(gradients.integrated_gradients, steps=effort.steps)
            return Task(method, rows + backgrounds + 1, run)
        case Method.SHAPLEY:
            run = partial(shapley, pairs=effort.pairs, seed=effort.seed)
            return Task(method, shapley_rows(count, backgrounds, effort.pairs), run)
        case Method.KERNEL_SHAP:
            rows = kernel_shap_rows(count, backgrounds, effort.samples)
            return Task(
                method, rows, partial(kernel_shap, samples=effort.samples, seed=effort.seed)
            )
