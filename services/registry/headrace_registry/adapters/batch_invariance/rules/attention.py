"""Attention and the embeddings of transformers, as ONNX and ONNX Runtime's own domain have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headrace_registry.adapters.batch_invariance.nodes import MICROSOFT, Node, Result, rule
from headrace_registry.adapters.batch_invariance.sizes import Size, fresh
from headrace_registry.adapters.batch_invariance.values import (
    CONSTANT,
    ROWS,
    NotProvenError,
    Value,
    constant,
    rows,
)


def same_rows(node: Node, axes: Mapping[int, int], *, loose: Sequence[int] = ()) -> Value:
    """The first input, if every other holds the same rows on its axis, or may be a constant.

    `loose` ones may be constants that have one row there. Raises NotProvenError.
    """
    x = node.rows_at(0)
    for index, value in enumerate(node.inputs):
        if value is None:
            continue
        if index not in axes:
            if value.kind is not CONSTANT:
                raise NotProvenError(f"has an input {index} that depends on the batch")
        elif value.kind is ROWS:
            if value.axis != axes[index] or value.row_size != x.known_shape[axes[0]]:
                raise NotProvenError(f"has an input {index} that does not hold the same rows")
        elif index not in loose or not _is_one(value, axes[index]):
            raise NotProvenError(f"has an input {index} that does not hold the rows")
    return x


def _is_one(value: Value, axis: int) -> bool:
    if value.kind is not CONSTANT or value.shape is None:
        return False
    return len(value.shape) <= axis or value.shape[axis] == 1


def _of_rank(size: Size, rank: int, axis: int = 0) -> Value:
    return rows([size if place == axis else fresh() for place in range(rank)], axis)


@rule("Attention")
def attention(node: Node) -> Result:
    mask = node.get(3)
    if mask is not None and mask.kind is ROWS and mask.rank != 4:
        raise NotProvenError("has a mask that does not hold the rows on the first of four axes")
    if mask is not None and mask.kind is CONSTANT and mask.rank < 4:
        node.inputs[3] = constant((1,))
    x = same_rows(node, dict.fromkeys(range(7), 0), loose=(3,))
    shape = x.known_shape if x.rank == 4 else (*x.known_shape[:2], fresh())
    states = [_of_rank(x.row_size, 4) for _ in range(node.output_count - 1)]
    return [rows([*shape[:-1], fresh()], 0), *states]


@rule("RotaryEmbedding")
def rotary_embedding(node: Node) -> Result:
    has_positions = node.get(3) is not None
    if has_positions:
        return same_rows(node, {0: 0, 3: 0})
    return same_rows(node, {0: 0, 1: 0, 2: 0})  # tables for each row


@rule("RotaryEmbedding", MICROSOFT)
def microsoft_rotary_embedding(node: Node) -> Result:
    positions = node.given(1)
    if positions.kind is CONSTANT and positions.shape not in ((1,), ()):
        raise NotProvenError("has positions that are a constant for each row")
    return same_rows(node, {0: 0, 1: 0}, loose=(1,))


@rule("EmbedLayerNormalization", MICROSOFT)
def embeddings(node: Node) -> Result:
    x = same_rows(node, {0: 0, 1: 0, 7: 0, 8: 0}, loose=(8,))
    table = node.given(2).shape
    out = rows([*x.known_shape, table[1] if table else fresh()], 0)
    return [out, rows([x.row_size], 0), out][: node.output_count]


@rule("Attention QAttention", MICROSOFT)
def microsoft_attention(node: Node) -> Result:
    if node.operator == "Attention":
        mask, axes, loose = 3, {0: 0, 3: 0, 4: 1, 5: 0}, [5]
    else:
        mask, axes, loose = 5, {0: 0, 5: 0, 8: 1}, []
    x = same_rows(node, axes, loose=loose)
    given = node.get(mask)
    if given is not None and given.known_shape[0] != x.row_size:
        raise NotProvenError("has a mask without one entry for each row")
    keeps = node.operator == "Attention" and not node.attribute("qkv_hidden_sizes")
    shape = x.known_shape if keeps else (*x.known_shape[:2], fresh())
    return [rows(shape, 0), _of_rank(x.row_size, 5, 1)][: node.output_count]


@rule("MultiHeadAttention", MICROSOFT)
def multi_head_attention(node: Node) -> Result:
    x = same_rows(node, {0: 0, 1: 0, 2: 0, 4: 0, 5: 0, 6: 0, 7: 0}, loose=(5,))
    shape = x.known_shape if x.rank == 3 else (*x.known_shape[:2], fresh())
    states = [_of_rank(x.row_size, 4) for _ in range(node.output_count - 1)]
    return [rows(shape, 0), *states]


@rule("GroupQueryAttention", MICROSOFT)
def group_query_attention(_: Node) -> Result:
    raise NotProvenError(
        "takes a past of more than one token together with new ones for one row only"
    )
