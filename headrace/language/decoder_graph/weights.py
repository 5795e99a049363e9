"""Declares where a decoder's weights come from, by names that every family shares.

Matrices have one row for each number that they make, as Hugging Face keeps them.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

EMBEDDING = "embedding"
FINAL_NORM = "final_norm"
HEAD = "head"
ATTENTION_NORM = "attention_norm"
FEED_FORWARD_NORM = "feed_forward_norm"
QUERY = "query"
KEY = "key"
VALUE = "value"
QUERY_BIAS = "query_bias"
KEY_BIAS = "key_bias"
VALUE_BIAS = "value_bias"
QUERY_NORM = "query_norm"
KEY_NORM = "key_norm"
ATTENTION_OUTPUT = "attention_output"
GATE = "gate"
UP = "up"
DOWN = "down"


def of_layer(layer: int, tensor: str) -> str:
    """The name of a layer's tensor."""
    return f"layers.{layer}.{tensor}"


class DecoderWeights(Protocol):
    """The weights of a decoder, read a few rows at a time."""

    def read(self, tensor: str, start: int = 0, stop: int | None = None) -> FloatArray:
        """Return a tensor's rows from `start` to before `stop`; without them, all."""
