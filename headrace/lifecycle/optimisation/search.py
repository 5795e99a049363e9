"""Looks for the smallest graph that each step can give within the loss that is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from headrace.lifecycle.optimisation import calibration, integers
from headrace.lifecycle.optimisation.calibration import Calibration
from headrace.lifecycle.optimisation.differences import Difference
from headrace.lifecycle.optimisation.integers import Choices
from headrace.lifecycle.optimisation.judging import Allowed, Judge
from headrace.lifecycle.optimisation.pruning.channel_groups import channel_groups
from headrace.lifecycle.optimisation.pruning.importance import importance_of
from headrace.lifecycle.optimisation.pruning.magnitudes import without_small_weights
from headrace.lifecycle.optimisation.pruning.removal import without_channels
from headrace.lifecycle.optimisation.samples import CALIBRATION_ROWS, Part

if TYPE_CHECKING:
    from onnx import ModelProto

_PIECE_ROWS = 32
_FRACTIONS = (0.5, 0.25, 0.125)
_HALVINGS = 3
_MOST_TRIALS = 64
"""Of layers that are tried alone; more of them are tried some neighbours at a time."""


@dataclass(slots=True)
class Made:
    """A graph that a step gave, and how it was made."""

    model: ModelProto
    found: Difference
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Search:
    """What the steps of one chain search with."""

    judge: Judge
    allowed: Allowed
    making: Part
    has_time: Callable[[], bool]
    """Whether to look further; the first try of each step is made in any case."""

    def pieces(self, rows: int = CALIBRATION_ROWS) -> Iterator[Any]:
        """The rows to make candidates with, a piece at a time."""
        fixed = self.judge.fixed_rows or 1
        step = fixed if fixed > 1 else _PIECE_ROWS if self.judge.fixed_rows == 0 else 1
        return self.making.first(max(rows // fixed, 1) * fixed).pieces(step)

    def made(self, model: ModelProto, **facts: str) -> Made:
        """A graph with what it loses."""
        return Made(model, self.judge.search(model), facts)

    def fits(self, made: Made) -> bool:
        """Return whether a graph is within what is allowed."""
        return self.allowed.fits(made.found)


def pruned(search: Search, model: ModelProto) -> Made:
    """The graph with as many channels removed as the loss allows; without chains of layers, weights at 0.

    Raises FailedPrecondition (NOTHING_TO_OPTIMISE).
    """
    if not channel_groups(model.graph):
        found = with_weights_at_zero(search, model)
        note = "no chain of layers lets channels be removed: weights were set to 0"
        return replace(found, facts={**found.facts, "structure": note})
    importance = importance_of(model, search.pieces())

    def at(fraction: float) -> Made:
        changed = without_channels(model, importance.kept(fraction), importance.moments)
        return search.made(changed, fraction=f"{fraction:.3g}", removed=_removed(model, changed))

    return _largest(search, at)


def with_weights_at_zero(search: Search, model: ModelProto) -> Made:
    """The graph with as many weights at 0 as the loss allows. Raises FailedPrecondition."""
    note = "zeros make it smaller where it is compressed, and not faster"

    def at(fraction: float) -> Made:
        return search.made(
            without_small_weights(model, fraction), zeros=f"{fraction:.3g}", structure=note
        )

    return _largest(search, at)


def _largest(search: Search, at: Callable[[float], Made]) -> Made:
    """The largest fraction that fits, by halves; the smallest that was tried where none does."""
    below, above = 0.0, 1.0
    best = last = None
    for fraction in _FRACTIONS:
        last = at(fraction)
        if search.fits(last):
            best, below = last, fraction
            break
        above = fraction
        if not search.has_time():
            break
    for _ in range(_HALVINGS):
        if best is None or not search.has_time():
            break
        middle = (below + above) / 2
        last = at(middle)
        if search.fits(last):
            best, below = last, middle
        else:
            above = middle
    made = best or last
    assert made is not None, "one fraction is tried in any case"
    return made


def _removed(before: ModelProto, after: ModelProto) -> str:
    channels = [
        sum(group.count for group in channel_groups(each.graph)) for each in (before, after)
    ]
    return f"{channels[0] - channels[1]} of {channels[0]} channels"


def dynamic(search: Search, model: ModelProto) -> Made:
    """The graph with 8 bit weights; layers that err most are left out until the loss fits."""
    base = integers.prepared(model, static=False)
    operators = ("MatMul", "Gemm", "Conv", "Gather", "LSTM")

    def quantised(choices: Choices) -> ModelProto:
        return integers.dynamic(base, choices)

    return _excluded(search, base, operators, [(quantised, {})])


def static(search: Search, model: ModelProto) -> Made:
    """The graph with 8 bit weights and activations, by the ranges that fit best."""
    base = integers.prepared(model, static=True)
    integers.check_weights(base, "static-int8", integers.STATIC_OPERATORS)

    def quantiser(kind: Calibration) -> Callable[[Choices], ModelProto]:
        ranges = calibration.calibrated(base, search.pieces(), kind)
        return lambda choices: integers.static(base, ranges, choices)

    tries = ((_Later(quantiser, kind), {"calibration": str(kind)}) for kind in Calibration)
    return _excluded(search, base, integers.STATIC_OPERATORS, tries)


class _Later:
    """A quantiser that calibrates when it is first asked for."""

    def __init__(self, make: Callable[[Calibration], Any], kind: Calibration) -> None:
        self._make, self._kind = make, kind
        self._made: Any = None

    def __call__(self, choices: Choices) -> ModelProto:
        if self._made is None:
            self._made = self._make(self._kind)
        model: ModelProto = self._made(choices)
        return model


def _excluded(
    search: Search,
    base: ModelProto,
    operators: tuple[str, ...],
    tries: Iterable[tuple[Callable[[Choices], ModelProto], dict[str, str]]],
) -> Made:
    """The first try that fits; else the best of them, without the layers that err most."""
    best: tuple[Made, Any] | None = None
    for quantise, facts in tries:
        made = search.made(quantise(Choices()), **facts)
        if search.fits(made):
            return made
        if best is None or made.found.loss.value < best[0].found.loss.value:
            best = made, quantise
        if not search.has_time():
            break
    assert best is not None, "one is tried in any case"
    return _without_worst(search, base, operators, *best)


def _without_worst(
    search: Search, base: ModelProto, operators: tuple[str, ...], made: Made, quantise: Any
) -> Made:
    names = [node.name for node in integers.weighted_nodes(base, operators)]
    if len(names) < 2 or not search.has_time():
        return made
    size = -(-len(names) // _MOST_TRIALS)
    groups = [tuple(names[start : start + size]) for start in range(0, len(names), size)]
    worst = _by_error(search, base, groups, quantise)
    count = 1
    while count < len(worst) and search.has_time():
        without = tuple(name for group in worst[:count] for name in group)
        tried = search.made(
            quantise(Choices(without=without)),
            **made.facts,
            left_out=", ".join(without),
        )
        if search.fits(tried):
            return tried
        if tried.found.loss.value < made.found.loss.value:
            made = Made(tried.model, tried.found, tried.facts)
        count *= 2
    return made


def _by_error(
    search: Search, base: ModelProto, groups: list[tuple[str, ...]], quantise: Any
) -> list[tuple[str, ...]]:
    """Groups of layers by how far the answers are off when one alone is quantised, the worst first."""
    every = [node.name for node in base.graph.node]
    errors: dict[tuple[str, ...], float] = {}
    for group in groups:
        if not search.has_time():
            break
        others = tuple(each for each in every if each not in group)
        found = search.judge.search(quantise(Choices(without=others)))
        errors[group] = found.relative
    return sorted(errors, key=lambda group: -errors[group])
