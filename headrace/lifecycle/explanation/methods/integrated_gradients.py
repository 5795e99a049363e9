"""Integrated gradients through a server: no gradients are served, so central differences are asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.explanation.asking import Asker, copies_in_a_part
from headrace.lifecycle.explanation.attributions import Attribution, Method, counting
from headrace.lifecycle.explanation.game import Game
from headrace.lifecycle.explanation.maskers import TensorMasker
from headrace.lifecycle.explanation.refusals import invalid
from headrace.lifecycle.predictors.predictor import Array

STEPS = 16
"""Points on the way, if nothing else is said: those of Gauss and Legendre."""
_LARGE_GAP = 0.05
_FLAT = (
    "all gradients are 0, and yet the answers differ: the model is constant in pieces, as trees are, and "
    "this method sees nothing; take occlusion or Shapley values"
)


def integrated_gradients_rows(elements: int, backgrounds: int, steps: int = STEPS) -> int:
    """The rows that it asks at most: two for each element at each step."""
    return 2 * elements * backgrounds * steps


def why_not(masker: object) -> str:
    """The reason why a row has no gradients; '' where it has."""
    if not isinstance(masker, TensorMasker):
        return "texts have no gradients"
    tensors = {feature.tensor for feature in masker.features}
    wrong = [name for name in tensors if masker.row[name].dtype.kind not in "fV"]
    return f"input {wrong[0]!r} takes no fractions, so there are no gradients" if wrong else ""


async def integrated_gradients(game: Game, steps: int = STEPS) -> Attribution:
    """The mean over the rows of the background. Raises InvalidArgument where inputs have no gradients."""
    masker = game.masker
    if (wrong := why_not(masker)) or not isinstance(masker, TensorMasker):
        raise invalid(wrong)
    with counting(game.asker) as cost:
        whole, nothing = await game.value(), await game.baseline_value()
        total = np.zeros(game.features)
        for background in range(masker.backgrounds):
            total += await _along(_Way(masker, background), game.asker, steps)
    values = total / masker.backgrounds
    gap = float(whole - nothing - values.sum())
    return Attribution(
        Method.INTEGRATED_GRADIENTS,
        tuple(values.tolist()),
        gap=gap,
        rows=cost.rows,
        requests=cost.requests,
        notes=_notes(values, gap, whole - nothing, steps),
    )


def _notes(
    values: npt.NDArray[np.float64], gap: float, difference: float, steps: int
) -> tuple[str, ...]:
    if not np.any(values) and difference:
        return (_FLAT,)
    if abs(gap) > _LARGE_GAP * max(abs(difference), float(np.abs(values).max(initial=0.0))):
        missed = f"the values miss the difference of the answers by {gap:.3g}: take more steps than"
        return (f"{missed} {steps}, or another method where the model has jumps",)
    return ()


@dataclass(frozen=True, slots=True)
class _Element:
    tensor: str
    place: int
    feature: int
    step: float


class _Way:
    """The straight way from a row of the background to the row, and steps aside of it."""

    def __init__(self, masker: TensorMasker, background: int) -> None:
        self.ends = {name: row.astype(np.float64) for name, row in _numbers(masker.row).items()}
        self.starts = {
            name: masker.background[name][background].astype(np.float64) for name in self.ends
        }
        self.masker = masker
        self.elements = list(self._changed())

    def _changed(self) -> Iterator[_Element]:
        for name, owners in self.masker.owners.items():
            if name not in self.ends:
                continue
            start, end = self.starts[name], self.ends[name]
            size = np.maximum(np.maximum(np.abs(start), np.abs(end)), np.abs(end - start))
            steps = size * _relative_step(self.masker.row[name].dtype)
            for place in np.flatnonzero((owners >= 0) & (start != end)):
                yield _Element(name, int(place), int(owners[place]), float(steps[place]))

    def rows_at(
        self, shares: npt.NDArray[np.float64], elements: Sequence[_Element]
    ) -> tuple[dict[str, Array], npt.NDArray[np.float64]]:
        """For each element a row above and a row below its point, and the way between the two as asked."""
        count = 2 * len(elements)
        one = np.ones((1, len(self.masker.features)), bool)
        made = {
            name: np.repeat(array[:1], count, axis=0)
            for name, array in self.masker.rows(one).items()
        }
        for name in self.ends:
            points = self._points(name, np.repeat(shares, 2))
            made[name] = points.astype(made[name].dtype).reshape(made[name].shape)
        flat = {name: array.reshape(count, -1) for name, array in made.items()}
        return made, _moved(flat, elements)

    def _points(self, name: str, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Elements of no feature stay the row's."""
        start, end = self.starts[name], self.ends[name]
        inner = start + shares[:, None] * (end - start)
        return np.where(self.masker.owners[name] >= 0, inner, end)


def _moved(flat: Mapping[str, Array], elements: Sequence[_Element]) -> npt.NDArray[np.float64]:
    ways = np.empty(len(elements))
    for number, element in enumerate(elements):
        array, place = flat[element.tensor], element.place
        middle = float(array[2 * number, place])
        array[2 * number, place] = middle + element.step
        array[2 * number + 1, place] = middle - element.step
        ways[number] = float(array[2 * number, place]) - float(array[2 * number + 1, place])
    return ways


async def _along(way: _Way, asker: Asker, steps: int) -> npt.NDArray[np.float64]:
    """The attributions over one way. Elements that are the baseline's add nothing, and are not asked."""
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = np.zeros(len(way.masker.features))
    asker.allow(integrated_gradients_rows(len(way.elements), 1, steps))
    one = way.masker.rows(np.ones((1, len(total)), bool))
    part = max(1, copies_in_a_part({name: array[:1] for name, array in one.items()}) // 2)
    places = [(step, element) for step in range(steps) for element in way.elements]
    for start in range(0, len(places), part):
        at = [step for step, _ in places[start : start + part]]
        some = [element for _, element in places[start : start + part]]
        rows, ways = way.rows_at((nodes[at] + 1) / 2, some)
        scores = await asker.score(rows)
        _add(total, way, some, (scores[::2] - scores[1::2]) / ways * weights[at] / 2)
    return total


def _add(
    total: npt.NDArray[np.float64],
    way: _Way,
    elements: Sequence[_Element],
    slopes: npt.NDArray[np.float64],
) -> None:
    for element, slope in zip(elements, slopes, strict=True):
        distance = (
            way.ends[element.tensor][element.place] - way.starts[element.tensor][element.place]
        )
        total[element.feature] += slope * distance


def _numbers(row: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array for name, array in row.items() if array.dtype.kind in "fV"}


def _relative_step(dtype: np.dtype[np.generic]) -> float:
    """The cube root of the type's precision: below it rounding spoils differences, above it curvature."""
    import ml_dtypes

    return float(float(ml_dtypes.finfo(dtype).eps) ** (1 / 3))
