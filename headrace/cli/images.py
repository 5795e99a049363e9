"""Images as arguments of commands: what is wrong with one is told as a wrong argument."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from headrace import errors, images
from headrace.images import ENDINGS, ImageInput, Preprocess

if TYPE_CHECKING:
    from headrace.client.arrays import Array

__all__ = ["ENDINGS", "PREPROCESS_HELP", "Preprocess", "read_image"]

PREPROCESS_HELP = (
    "How the pixels of an image become numbers: none (0 to 255), unit (0 to 1), signed (-1 to 1), imagenet "
    "(resized and cropped to the centre, then mean and deviation of ImageNet); auto: unit for inputs of "
    "floats, none for integers."
)


def read_image(path: Path, tensor: ImageInput, preprocess: Preprocess) -> Array:
    """An image as an input's array. Raises typer.BadParameter."""
    try:
        return images.read_image(path, tensor, preprocess)
    except errors.HeadraceError as error:
        raise typer.BadParameter(error.message) from error
