"""Draws the trade: loss against size and against latency, the front marked."""

from __future__ import annotations

from typing import Any

from headrace.lifecycle.optimisation.choice import Measured
from headrace.lifecycle.optimisation.optimisation import Optimisation
from headrace.lifecycle.reports.plots import as_png, new_figure

_FRONT, _BEHIND, _CHOSEN = "#1f77b4", "#bbbbbb", "#d62728"


def trade_plot(found: Optimisation) -> bytes:
    """A PNG. Raises FailedPrecondition (LIFECYCLE_EXTRA_MISSING)."""
    figure = new_figure(11, 4.5)
    sides: tuple[Any, Any] = figure.subplots(1, 2, sharey=True)
    _draw(sides[0], found, [each.model_bytes / 1e6 for each in found.measured], "size, MB")
    latencies = [each.cost.p50_ms if each.cost else 0.0 for each in found.measured]
    _draw(sides[1], found, latencies, "latency p50, ms")
    sides[0].set_ylabel("loss")
    return as_png(figure)


def _draw(side: Any, found: Optimisation, across: list[float], label: str) -> None:
    marked = {id(each) for each in found.front}
    for place, (each, x) in enumerate(zip(found.measured, across, strict=True)):
        if each.loss == float("inf"):
            continue
        side.scatter(x, each.loss, color=_color(each, found, marked), zorder=3)
        offset = (5, 4 + 9 * (place % 3))
        side.annotate(each.name, (x, each.loss), xytext=offset, textcoords="offset points", size=7)
    side.axhline(found.allowed.loss, color=_CHOSEN, linewidth=0.8, linestyle="--")
    side.set_xlabel(label)
    side.set_xlim(left=0)
    side.grid(visible=True, alpha=0.3)


def _color(each: Measured, found: Optimisation, marked: set[int]) -> str:
    if each is found.chosen:
        return _CHOSEN
    return _FRONT if id(each) in marked else _BEHIND
