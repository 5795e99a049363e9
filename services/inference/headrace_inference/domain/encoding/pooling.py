"""Makes one vector of the vectors of a text's tokens, and one score of a pair's logit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from headrace.state.language_records import Pooling
from headrace_inference.domain.encoding.requests import Vectors

_Tokens = npt.NDArray[np.float32]

SHORTEST = 1e-12
"""A vector that is shorter is not made longer: it is nothing but zeros."""


def pooled(output: npt.NDArray[np.generic], lengths: Sequence[int], pooling: Pooling) -> Vectors:
    """Return a row for each text. `output` has a vector for each token, or one a text (Pooling.NONE).

    Each row is made of its own tokens alone, in their order: padding adds nothing, not even a zero.
    """
    values = np.asarray(output, np.float32)
    if pooling is Pooling.NONE:
        return values
    pool = _POOLS[pooling]
    rows = [pool(values[row, :length]) for row, length in enumerate(lengths)]
    return np.stack(rows) if rows else np.empty((0, values.shape[-1]), np.float32)


def normalized(vectors: Vectors) -> Vectors:
    """Return the vectors made as long as 1; zeros stay what they are."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, np.newaxis]
    shorter: Vectors = vectors / np.maximum(lengths, np.float32(SHORTEST))
    return shorter


def probabilities(logits: Vectors) -> Vectors:
    """Return scores between 0 and 1 in the order of the logits, by the logistic function."""
    return (0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64)))).astype(np.float32)


def _mean(tokens: _Tokens) -> Vectors:
    mean: Vectors = np.add.reduce(tokens, axis=0) / np.float32(len(tokens))
    return mean


def _first(tokens: _Tokens) -> Vectors:
    first: Vectors = tokens[0]
    return first


def _last(tokens: _Tokens) -> Vectors:
    last: Vectors = tokens[-1]
    return last


def _most(tokens: _Tokens) -> Vectors:
    most: Vectors = np.maximum.reduce(tokens, axis=0)
    return most


_POOLS: Mapping[Pooling, Callable[[_Tokens], Vectors]] = {
    Pooling.MEAN: _mean,
    Pooling.CLS: _first,
    Pooling.LAST: _last,
    Pooling.MAX: _most,
}
