"""Names the numbers that a decoder's weights are kept in."""

from __future__ import annotations

import enum


class WeightFormat(enum.StrEnum):
    """The numbers that a decoder's matrices are kept in."""

    FP32 = "fp32"
    INT8 = "int8"
    INT4 = "int4"
    """Of the feed-forward layers, which are most of a model; attention and the head keep 8 bits.

    With all matrices at 4 bits SmolLM2-135M parts from its floats twice as far, for a fifth less memory.
    """

    @property
    def bits(self) -> int:
        """Count the bits that a weight takes, its block's scale not counted."""
        return {WeightFormat.FP32: 32, WeightFormat.INT8: 8, WeightFormat.INT4: 4}[self]
