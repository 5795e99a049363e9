"""Draws explanations as PNG: bars of features, maps over images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.lifecycle.explanation.explanation import Explanation
from headrace.lifecycle.explanation.image_features import ImageGrid, channels_last
from headrace.lifecycle.explanation.ranking import largest, title_of
from headrace.lifecycle.explanation.sample_explanation import Curve, SampleExplanation
from headrace.lifecycle.reports.plots import as_png, new_figure, plain_text

BARS = 20
FOR, AGAINST = "#0072b2", "#d55e00"
"""Blue adds, orange takes away: told apart by those who see no red and green."""
_NAME_CHARACTERS = 30


def plot(explanation: Explanation) -> bytes:
    """The explanation as PNG. Raises FailedPrecondition (LIFECYCLE_EXTRA_MISSING)."""
    draw = _bars if explanation.grid is None else _maps
    return as_png(draw(explanation))


def _bars(explanation: Explanation) -> Any:
    shown = largest(explanation, BARS)[::-1]
    names = [_named(explanation, place) for place in shown]
    figure = new_figure(3.2 + 3 * len(explanation.attributions), 1.2 + 0.28 * len(shown))
    axes = figure.subplots(1, len(explanation.attributions), sharey=True, squeeze=False)[0]
    for axis, each in zip(axes, explanation.attributions, strict=True):
        values = [each.values[place] for place in shown]
        errors = [each.standard_errors[place] for place in shown] if each.standard_errors else None
        colours = [FOR if value >= 0 else AGAINST for value in values]
        axis.barh(range(len(shown)), values, xerr=errors, color=colours, ecolor="#555555")
        axis.set_title(each.method, fontsize=9)
        axis.axvline(0, color="#333333", linewidth=0.8)
        axis.set_yticks(range(len(shown)), names, fontsize=8)
    figure.suptitle(plain_text(title_of(explanation)), fontsize=10)
    return figure


def _named(explanation: Explanation, place: int) -> str:
    feature = explanation.features[place]
    text = (
        feature.name if feature.value in ("", feature.name) else f"{feature.name} = {feature.value}"
    )
    return plain_text(text, _NAME_CHARACTERS)


def _maps(explanation: Explanation) -> Any:
    """The image, and a map over it by each method."""
    grid = explanation.grid
    assert grid is not None
    pixels = shown_pixels(explanation.row[grid.tensor], grid)
    figure = new_figure(3 * (1 + len(explanation.attributions)), 3.4)
    first, *axes = figure.subplots(1, 1 + len(explanation.attributions), squeeze=False)[0]
    _image(first, pixels, "the image")
    for axis, each in zip(axes, explanation.attributions, strict=True):
        _image(axis, pixels, each.method)
        seen = smooth(grid, each.values)
        bound = float(np.abs(seen).max()) or 1.0
        drawn = axis.imshow(seen, cmap="RdBu", vmin=-bound, vmax=bound, alpha=0.65)
        figure.colorbar(drawn, ax=axis, shrink=0.7)
    figure.suptitle(plain_text(title_of(explanation)), fontsize=10)
    return figure


def _image(axis: Any, pixels: npt.NDArray[np.float64], title: str) -> None:
    axis.imshow(pixels, cmap="gray", vmin=0, vmax=1)
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()


def smooth(grid: ImageGrid, values: Any) -> npt.NDArray[np.float64]:
    """The map of patches, between whose centres it goes evenly: what is seen has no edges of its own."""
    cells = np.asarray(values, np.float64).reshape(grid.down, grid.across)
    rows = _between(cells, grid.down, grid.height, grid.patch)
    return _between(rows.T, grid.across, grid.width, grid.patch).T


def _between(
    cells: npt.NDArray[np.float64], count: int, pixels: int, patch: int
) -> npt.NDArray[np.float64]:
    centres = np.minimum((np.arange(count) + 0.5) * patch, pixels)
    places = np.arange(pixels) + 0.5
    return np.stack([np.interp(places, centres, line) for line in cells.T], axis=1)


def shown_pixels(array: npt.NDArray[Any], grid: ImageGrid) -> npt.NDArray[np.float64]:
    """An image as people see it, 0 to 1, however its model scales it."""
    pixels = channels_last(array, grid.layout)[0].astype(np.float64)
    if array.dtype == np.uint8:
        pixels = pixels / 255
    elif pixels.min() < 0 or pixels.max() > 1:
        pixels = (pixels - pixels.min()) / (float(np.ptp(pixels)) or 1.0)
    return np.asarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def plot_sample(explanation: SampleExplanation) -> bytes:
    """The features by weight, and the curves of the first, as PNG."""
    order = explanation.order()[:BARS]
    panels = 1 + bool(explanation.importances) + len(explanation.curves)
    figure = new_figure(3.2 * panels, max(3.0, 1.2 + 0.28 * len(order)))
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    names = [plain_text(explanation.features[place]) for place in order][::-1]
    amounts = [explanation.mean_amounts[place] for place in order][::-1]
    _ranked(axes.pop(0), names, amounts, f"mean amount by {explanation.method}")
    if explanation.importances:
        told = [explanation.importances[place] for place in order][::-1]
        axis, errors = axes.pop(0), [each.deviation for each in told]
        _ranked(axis, names, [each.loss for each in told], f"{explanation.loss} added", errors)
    for axis, each in zip(axes, explanation.curves, strict=True):
        _curve(axis, each)
    return as_png(figure)


def _ranked(
    axis: Any, names: list[str], values: list[float], title: str, errors: Any = None
) -> None:
    axis.barh(range(len(names)), values, xerr=errors, color=FOR, ecolor="#555555")
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set_title(plain_text(title), fontsize=9)


def _curve(axis: Any, curve: Curve) -> None:
    texts = any(isinstance(value, str) for value in curve.values)
    places = range(len(curve.values)) if texts else curve.values
    for number, name in enumerate(curve.classes):
        line = [answer[number] for answer in curve.answers]
        axis.plot(places, line, marker="." if not texts else "o", label=plain_text(name))
    if texts:
        axis.set_xticks(places, [plain_text(str(value)) for value in curve.values], rotation=60)
    axis.set_title(plain_text(f"mean answer by {curve.feature}"), fontsize=9)
    if len(curve.classes) > 1:
        axis.legend(fontsize=7)
