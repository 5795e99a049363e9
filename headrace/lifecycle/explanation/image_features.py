"""Images as features: patches of all channels, their baselines, and maps of what patches are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import numpy.typing as npt

from headrace.images import Layout, layout_of
from headrace.lifecycle.explanation.asking import Scores
from headrace.lifecycle.explanation.attributions import Attribution, Method, counting
from headrace.lifecycle.explanation.baselines import Baseline
from headrace.lifecycle.explanation.features import Feature
from headrace.lifecycle.explanation.game import Game
from headrace.lifecycle.explanation.refusals import invalid
from headrace.lifecycle.predictors.predictor import Array, Tensors

PATCHES = 14
"""So many patches along the longer side, if nothing else is said."""
WINDOW = 2
"""Patches along each side of what is hidden at once."""
Map = npt.NDArray[np.float64]
"""[height, width]: the worth of each pixel."""


@dataclass(frozen=True, slots=True)
class ImageGrid:
    """An image in an input, and the patches that it is cut into, row by row."""

    tensor: str
    layout: Layout
    height: int
    width: int
    patch: int
    features: tuple[Feature, ...]

    @property
    def down(self) -> int:
        """Patches from top to bottom."""
        return ceil(self.height / self.patch)

    @property
    def across(self) -> int:
        """Patches from left to right."""
        return ceil(self.width / self.patch)

    def map_of(self, values: Sequence[float]) -> Map:
        """The patches' values as a map of pixels."""
        cells = np.asarray(values, np.float64).reshape(self.down, self.across)
        pixels = cells.repeat(self.patch, axis=0).repeat(self.patch, axis=1)
        return pixels[: self.height, : self.width]


def image_grid(row: Tensors, tensor: str, shape: Sequence[int], patch: int = 0) -> ImageGrid:
    """Cut an image into patches of so many pixels a side; 0: PATCHES along the longer side.

    `shape` is the input's in the signature. Raises InvalidArgument (EXPLANATION_INVALID) where the input is
    no image, or has no dimension of rows.
    """
    layout, size = layout_of(shape), row[tensor].shape
    if layout is None or layout.rank - layout.has_channels != 3 or len(size) != layout.rank:
        raise invalid(
            f"input {tensor!r} takes {list(shape)}, which is no row of an image: it has a shape such as "
            "[rows, 3, height, width], [rows, height, width, 3] or [rows, height, width]"
        )
    places = channels_last(np.arange(row[tensor].size).reshape(size), layout)[0]
    height, width = places.shape[:2]
    side = patch or max(1, ceil(max(height, width) / PATCHES))
    features = tuple(
        Feature(
            f"{top},{left}",
            tensor,
            tuple(places[top : top + side, left : left + side].reshape(-1).tolist()),
        )
        for top in range(0, height, side)
        for left in range(0, width, side)
    )
    return ImageGrid(tensor, layout, height, width, side, features)


def channels_last(array: Array, layout: Layout) -> Array:
    """Images as [rows, height, width, channels]."""
    if not layout.has_channels:
        return array[..., None]
    return array if layout.channels_last else array.transpose(0, 2, 3, 1)


def image_mean(row: Tensors, grid: ImageGrid) -> Baseline:
    """The image's own mean, by channel."""
    pixels = channels_last(row[grid.tensor], grid.layout)
    means = np.broadcast_to(pixels.mean(axis=(1, 2), keepdims=True), pixels.shape)
    return _with_image(row, grid, means, "the image's mean by channel")


def blurred(row: Tensors, grid: ImageGrid) -> Baseline:
    """The image so blurred that details are gone: a deviation of a tenth of its longer side."""
    pixels = channels_last(row[grid.tensor], grid.layout).astype(np.float64)
    reach = max(1.0, max(grid.height, grid.width) / 10)
    for axis in (1, 2):
        pixels = np.apply_along_axis(_smoothed, axis, pixels, _bell(reach))
    return _with_image(row, grid, pixels, "the image, blurred")


def _bell(deviation: float) -> Map:
    ticks = np.arange(-ceil(2 * deviation), ceil(2 * deviation) + 1)
    bell = np.exp(-0.5 * (ticks / deviation) ** 2)
    total = float(bell.sum())
    return np.asarray(bell / total)


def _smoothed(line: Map, bell: Map) -> Map:
    reach = len(bell) // 2
    return np.convolve(np.pad(line, reach, mode="edge"), bell, mode="valid")


def _with_image(row: Tensors, grid: ImageGrid, pixels: Array, name: str) -> Baseline:
    array = row[grid.tensor]
    if not grid.layout.has_channels:
        pixels = pixels[..., 0]
    elif not grid.layout.channels_last:
        pixels = pixels.transpose(0, 3, 1, 2)
    whole = array.dtype.kind in "iu"
    return Baseline(
        {**row, grid.tensor: (np.rint(pixels) if whole else pixels).astype(array.dtype)}, name
    )


def window_rows(grid: ImageGrid, backgrounds: int, window: int = WINDOW) -> int:
    """The rows that windowed occlusion asks at most."""
    return ((grid.down + window - 1) * (grid.across + window - 1) + 1) * backgrounds


async def window_occlusion(game: Game, grid: ImageGrid, window: int = WINDOW) -> Attribution:
    """Hide windows of several patches that overlap by all but one: a smooth map.

    A patch's value is the mean loss over the windows that it is in, shared among the patches of each.
    """
    hidden = _windows(grid, window)
    with counting(game.asker) as cost:
        masks = np.vstack([np.ones((1, game.features), bool), ~hidden])
        scores = await game.values(masks)
    values = _shared(scores[0] - scores[1:], hidden)
    return Attribution(
        Method.OCCLUSION,
        tuple(values.tolist()),
        rows=cost.rows,
        requests=cost.requests,
        notes=(
            f"patches of {grid.patch} pixels, hidden in windows of {window} by {window} that overlap",
        ),
    )


def _windows(grid: ImageGrid, window: int) -> npt.NDArray[np.bool_]:
    found = []
    for top in range(1 - window, grid.down):
        for left in range(1 - window, grid.across):
            cells = np.zeros((grid.down, grid.across), bool)
            cells[max(0, top) : top + window, max(0, left) : left + window] = True
            found.append(cells.reshape(-1))
    return np.array(found)


def _shared(losses: Scores, hidden: npt.NDArray[np.bool_]) -> Scores:
    shares = losses / hidden.sum(axis=1)
    mean: Scores = (hidden * shares[:, None]).sum(axis=0) / hidden.sum(axis=0)
    return mean
