"""Computes the tables of sines and cosines of rotary position embeddings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Rope:
    """The frequencies of rotary positions: how fast each pair of a head's numbers turns."""

    base: float = 10_000.0
    divisors: tuple[float, ...] = ()
    """What each pair's frequency is divided by, one number a pair; (): by 1."""

    def tables(
        self, positions: int, head_size: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return cosines and sines, each of shape [positions, head_size / 2]."""
        frequencies = self.base ** (-np.arange(0, head_size, 2, dtype=np.float64) / head_size)
        if self.divisors:
            frequencies = frequencies / np.asarray(self.divisors, np.float64)
        angles = np.outer(np.arange(positions, dtype=np.float64), frequencies)
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def linear_divisors(factor: float, head_size: int) -> tuple[float, ...]:
    """Return the divisors of positions that are squeezed evenly."""
    return (factor,) * (head_size // 2)


def llama3_divisors(
    base: float,
    head_size: int,
    factor: float,
    original_context: int,
    low_frequency_factor: float = 1.0,
    high_frequency_factor: float = 4.0,
) -> tuple[float, ...]:
    """Return the divisors of Llama 3.1 and later: slow pairs are squeezed, fast ones are not."""
    divisors = []
    for index in range(0, head_size, 2):
        wavelength = 2 * math.pi * base ** (index / head_size)
        turns = original_context / wavelength
        span = high_frequency_factor - low_frequency_factor
        blend = min(1.0, max(0.0, (turns - low_frequency_factor) / span))
        divisors.append(1 / ((1 - blend) / factor + blend))
    return tuple(divisors)
