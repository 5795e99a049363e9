"""The handwritten digits: loading them, splitting them once and for all, and shifting them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

BRIGHTEST: Final = 16
"""The largest pixel value in the data; 0 is the background."""

_HELD_BACK_SHARE: Final = 0.25
_SEED: Final = 0
_ONE_PIXEL_SHIFTS: Final = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))


@dataclass(frozen=True, slots=True)
class Digits:
    """Images, FP32 [n, 8, 8] with pixel values 0..16, and what they show, INT64 [n]."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    def sample(self, count: int) -> "Digits":
        """The same `count` images on every call, every digit in its usual proportion."""
        return _split(self, count)[0]

    def with_shifts(self) -> "Digits":
        """Five times the images: as they are, and moved by one pixel each way."""
        moved = [_shifted(self.images, down, right) for down, right in _ONE_PIXEL_SHIFTS]
        return Digits(np.concatenate(moved), np.tile(self.labels, len(moved)))


def load_split() -> tuple[Digits, Digits]:
    """The images to train on, then those held back: a quarter of all, the same on every call."""
    data = load_digits()
    everything = Digits(data.images.astype(np.float32), data.target.astype(np.int64))
    return _split(everything, 1 - _HELD_BACK_SHARE)


def as_features(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Images, FP32 [n, 8, 8] in 0..16, as the rows that train: FP32 [n, 64] in 0..1.

    The exported graphs do the same inside, so that callers send raw pixels.
    """
    return images.reshape(len(images), -1) / np.float32(BRIGHTEST)


def _split(digits: Digits, first_part: float) -> tuple[Digits, Digits]:
    """Two stratified parts; `first_part` is a share (float) or a number of images (int)."""
    images, other_images, labels, other_labels = train_test_split(
        digits.images,
        digits.labels,
        train_size=first_part,
        stratify=digits.labels,
        random_state=_SEED,
    )
    return Digits(images, labels), Digits(other_images, other_labels)


def _shifted(images: NDArray[np.float32], down: int, right: int) -> NDArray[np.float32]:
    """FP32 [n, 8, 8] moved by at most one pixel; what comes in at the edge is background."""
    _, height, width = images.shape
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    top, left = 1 - down, 1 - right
    return padded[:, top : top + height, left : left + width]
