"""A llama-like decoder in plain numpy: all tokens at once, no cache. Graphs and engines are held to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from headrace.language.decoder_graph import DecoderShape, FloatArray
from headrace.language.decoder_graph import weights as names
from headrace.language.decoder_graph.weights import of_layer

Read = Callable[[str], FloatArray]


def forward(shape: DecoderShape, read: Read, tokens: Sequence[int]) -> FloatArray:
    """The logits after each token, [tokens, vocabulary]."""
    hidden = read(names.EMBEDDING)[list(tokens)]
    for layer in range(shape.layers):

        def tensor(name: str, layer: int = layer) -> FloatArray:
            return read(of_layer(layer, name))

        normed = _norm(hidden, tensor(names.ATTENTION_NORM), shape.epsilon)
        hidden = hidden + _attention(shape, tensor, normed)
        normed = _norm(hidden, tensor(names.FEED_FORWARD_NORM), shape.epsilon)
        gate = normed @ tensor(names.GATE).T
        up = normed @ tensor(names.UP).T
        hidden = hidden + (gate / (1 + np.exp(-gate)) * up) @ tensor(names.DOWN).T
    normed = _norm(hidden, read(names.FINAL_NORM), shape.epsilon)
    logits: FloatArray = normed @ read(names.EMBEDDING if shape.tied else names.HEAD).T
    return logits


def _norm(values: FloatArray, scale: FloatArray, epsilon: float) -> FloatArray:
    square = np.mean(values * values, axis=-1, keepdims=True)
    normed: FloatArray = values / np.sqrt(square + np.float32(epsilon)) * scale
    return normed


def _attention(shape: DecoderShape, tensor: Read, normed: FloatArray) -> FloatArray:
    query = _heads(shape, tensor, normed, names.QUERY, shape.heads)
    key = _heads(shape, tensor, normed, names.KEY, shape.kv_heads)
    value = _heads(shape, tensor, normed, names.VALUE, shape.kv_heads)
    if shape.head_norms:
        query = _norm(query, tensor(names.QUERY_NORM), shape.epsilon)
        key = _norm(key, tensor(names.KEY_NORM), shape.epsilon)
    query, key = _rotated(shape, query), _rotated(shape, key)
    shared = shape.heads // shape.kv_heads
    key, value = np.repeat(key, shared, axis=0), np.repeat(value, shared, axis=0)
    scores = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(shape.head_size))
    scores = np.where(_seen(len(normed), shape.sliding_window), scores, np.float32(-1e30))
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    joined = (shares @ value).transpose(1, 0, 2).reshape(len(normed), -1)
    attended: FloatArray = joined @ tensor(names.ATTENTION_OUTPUT).T
    return attended


def _heads(
    shape: DecoderShape, tensor: Read, normed: FloatArray, name: str, heads: int
) -> FloatArray:
    made = normed @ tensor(name).T
    if shape.attention_biases:
        made = made + tensor(f"{name}_bias")
    return made.reshape(len(normed), heads, shape.head_size).transpose(1, 0, 2)


def _rotated(shape: DecoderShape, heads: FloatArray) -> FloatArray:
    cosines, sines = shape.rope.tables(heads.shape[1], shape.head_size)
    first, second = np.split(heads, 2, axis=-1)
    turned = [first * cosines - second * sines, second * cosines + first * sines]
    return np.concatenate(turned, axis=-1)


def _seen(length: int, window: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    back = np.arange(length)[:, None] - np.arange(length)[None, :]
    return (back >= 0) & ((back < window) if window else True)
