"""The rules of operators, family by family: which proofs there are, and whom their absence blames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from headrace_registry.adapters.batch_invariance import analyse
from tests.unit.registry.batch_invariance.row_graphs import (
    CLASSICAL,
    INT64,
    MICROSOFT,
    model,
    node,
    value,
)

PROVEN = ""
F = np.float32
BOOL = TensorProto.BOOL


def row(
    name: str,
    expected: str,
    *nodes: Any,
    w: Mapping[str, Any] | None = None,
    x: Sequence[int | str | None] = ("n", 4),
    inputs: Sequence[Any] = (),
    opset: int = 21,
) -> Any:
    """A case: part of the reason that is expected, or nothing where there is a proof."""
    given = inputs or [value("x", x)]
    return pytest.param(expected, nodes, given, w or {}, opset, id=name)


def i64(*numbers: int) -> Any:
    """Whole numbers on one axis."""
    return np.array(numbers, np.int64)


ELEMENTWISE = [
    row("unary", PROVEN, node("Relu", "x")),
    row("scalar", PROVEN, node("Add", "x", "c"), w={"c": F(1)}),
    row("row", PROVEN, node("Add", "x", "c"), w={"c": np.ones((1, 4), F)}),
    row("table", "constant of more than one row", node("Add", "x", "c"), w={"c": np.ones((3, 4), F)}),
    row("aligned", "rows meet other rows", node("Add", "x", "z"), inputs=[value("x"), value("z", ["n"])]),
    row("opset 6", "opset 6", node("Add", "x", "x"), opset=6),
    row("where", PROVEN, node("Where", "c", "x", "x"), inputs=[value("c", ["n", 1], BOOL), value("x")]),
    row("clip", PROVEN, node("Clip", "x", "lo"), w={"lo": F(0)}),
    row("size as value", "the number of rows as a value",
        node("Size", "x", outputs=["s"]), node("Cast", "s", outputs=["f"], to=1), node("Mul", "x", "f")),
    row("gelu", PROVEN, node("Gelu", "x", domain=MICROSOFT)),
]  # fmt: skip

REFUSALS = [
    row("dynamic", "takes one scale over all rows",
        node("DynamicQuantizeLinear", "x", outputs=["y", "s", "z"])),
    row("non zero", "gives as many rows as it finds", node("NonZero", "x")),
    row("unique", "gives as many rows", node("Unique", "x")),
    row("compress", "gives as many rows", node("Compress", "x", "c", axis=0), w={"c": np.array([True])}),
    row("random", "gives random values", node("RandomNormalLike", "x")),
    row("random added", "gives random values",
        node("RandomNormal", outputs=["r"], shape=[4]), node("Add", "x", "r")),
    row("dropout", PROVEN, node("Dropout", "x")),
    row("training dropout", "training mode", node("Dropout", "x", "r", "t"),
        w={"r": F(0.5), "t": np.array(True)}),
    row("foreign", "has no rule", node("Ours", "x", domain="org.example")),
    row("sequence", "has no rule", node("SequenceConstruct", "x")),
]  # fmt: skip

NORMALIZATIONS = [
    row("softmax", PROVEN, node("Softmax", "x", axis=1)),
    row("softmax over rows", "over the rows", node("Softmax", "x", axis=0)),
    row("softmax of opset 11", "over the rows", node("Softmax", "x", axis=0), x=["n", 2, 3], opset=11),
    row("softmax of opset 11, later", PROVEN, node("Softmax", "x", axis=1), x=["n", 2, 3], opset=11),
    row("old softmax in front of rows", "over the rows",
        node("Transpose", "x", outputs=["t"], perm=[1, 0, 2]), node("Softmax", "t", axis=1),
        x=["n", 2, 3], opset=11),
    row("layer norm", PROVEN, node("LayerNormalization", "x", "s"), w={"s": np.ones(4, F)}),
    row("layer norm over rows", "works along axis 0",
        node("LayerNormalization", "x", "s", axis=0), w={"s": np.ones(4, F)}),
    row("batch norm", PROVEN, node("BatchNormalization", "x", *"abcd"),
        w={name: np.ones(4, F) for name in "abcd"}),
    row("training batch norm", "training mode",
        node("BatchNormalization", "x", *"abcd", outputs=["y", "m", "v"], training_mode=1),
        w={name: np.ones(4, F) for name in "abcd"}),
    row("instance norm", PROVEN, node("InstanceNormalization", "x", "s", "s"), x=["n", 4, 5],
        w={"s": np.ones(4, F)}),
    row("mean variance", "works along axis 0", node("MeanVarianceNormalization", "x"), x=["n", 2, 3, 3]),
    row("sum across", PROVEN, node("CumSum", "x", "a"), w={"a": np.int64(1)}),
    row("sum down", "works along axis 0", node("CumSum", "x", "a"), w={"a": np.int64(0)}),
    row("skip norm", PROVEN, node("SkipLayerNormalization", "x", "x", "s", domain=MICROSOFT),
        x=["n", 3, 4], w={"s": np.ones(4, F)}),
    row("quantised", PROVEN, node("QuantizeLinear", "x", "s"), w={"s": F(1)}),
    row("quantised by rows", "scale for each row", node("QuantizeLinear", "x", "s", axis=0),
        w={"s": np.ones(3, F)}),
]  # fmt: skip

REDUCTIONS = [
    row("mean", PROVEN, node("ReduceMean", "x", "a", keepdims=0), w={"a": i64(1)}),
    row("mean over rows", "reduces axis 0", node("ReduceMean", "x", "a"), w={"a": i64(0)}),
    row("mean over all", "reduces axis 0", node("ReduceMean", "x")),
    row("nothing to reduce", PROVEN, node("ReduceMean", "x", noop_with_empty_axes=1)),
    row("mean of opset 13", PROVEN, node("ReduceMean", "x", axes=[-1]), opset=13),
    row("largest", PROVEN, node("ArgMax", "x", axis=1, keepdims=0)),
    row("largest row", "reduces axis 0", node("ArgMax", "x", axis=0)),
    row("top", PROVEN, node("TopK", "x", "k", outputs=["y", "i"]), w={"k": i64(2)}),
    row("top rows", "chooses among the rows", node("TopK", "x", "k", outputs=["y", "i"], axis=0),
        w={"k": i64(2)}),
]  # fmt: skip

MATRICES = [
    row("layer", PROVEN, node("MatMul", "x", "w"), w={"w": np.ones((4, 2), F)}),
    row("sum over rows", "sums over the rows", node("MatMul", "w", "x"), w={"w": np.ones((2, 4), F)}),
    row("gram", "multiplies rows", node("Transpose", "x", outputs=["t"]), node("MatMul", "x", "t")),
    row("batched", PROVEN, node("MatMul", "x", "z"),
        inputs=[value("x", ["n", 3, 4]), value("z", ["n", 4, 2])]),
    row("two tables", "sums over the rows", node("MatMul", "x", "z"),
        inputs=[value("x", [None, 2]), value("z", [None, 3])]),
    row("gemm", PROVEN, node("Gemm", "x", "w", "b", transB=1),
        w={"w": np.ones((2, 4), F), "b": np.ones(2, F)}),
    row("gemm transposed", "sums over the rows", node("Gemm", "x", "w", transA=1),
        w={"w": np.ones((4, 2), F)}),
    row("gemm with a bias for rows", "constant of more than one", node("Gemm", "x", "w", "b"),
        w={"w": np.ones((4, 2), F), "b": np.ones((3, 2), F)}),
    row("einsum", PROVEN, node("Einsum", "x", "w", equation="ab,bc->ac"), w={"w": np.ones((4, 2), F)}),
    row("einsum over rows", "sums over 'a'", node("Einsum", "x", equation="ab->b")),
    row("integer matmul with scales of rows", "scale for each row",
        node("MatMulInteger", "x", "w", "z"), inputs=[value("x", ["n", 4], TensorProto.UINT8)],
        w={"w": np.ones((4, 2), np.uint8), "z": np.zeros(3, np.uint8)}),
]  # fmt: skip

IMAGES = [
    row("conv", PROVEN, node("Conv", "x", "w"), x=["n", 3, 8, 8], w={"w": np.ones((2, 3, 3, 3), F)}),
    row("conv on other rows", "works along axis 1", node("Transpose", "x",
        outputs=["t"], perm=[1, 0, 2, 3]),
        node("Conv", "t", "w"), x=["n", 3, 8, 8], w={"w": np.ones((2, 3, 3, 3), F)}),
    row("weights that come in", "depends on the batch", node("Conv", "x", "w"),
        inputs=[value("x", ["n", 3, 8]), value("w", ["n", 3, 3])]),
    row("pool", PROVEN, node("MaxPool", "x", kernel_shape=[2, 2]), x=["n", 3, 8, 8]),
    row("pool with indices", "count through all rows",
        node("MaxPool", "x", outputs=["y", "i"], kernel_shape=[2, 2]), x=["n", 3, 8, 8]),
    row("resize", PROVEN, node("Resize", "x", "", "s"), x=["n", 3, 8, 8],
        w={"s": np.array([1, 1, 2, 2], F)}),
    row("resize rows", "stretches", node("Resize", "x", "", "s"), x=["n", 3, 8, 8],
        w={"s": np.array([2, 1, 1, 1], F)}),
    row("pad", PROVEN, node("Pad", "x", "p"), w={"p": i64(0, 1, 0, 1)}),
    row("pad rows", "pads the rows", node("Pad", "x", "p"), w={"p": i64(1, 0, 0, 0)}),
]  # fmt: skip

SHAPES = [
    row("flatten", PROVEN, node("Flatten", "x"), x=["n", 2, 3]),
    row("transposed", "has its rows on axis 1", node("Transpose", "x")),
    row("reshape", PROVEN, node("Reshape", "x", "s"), w={"s": i64(-1, 2, 2)}),
    row("reshape by zero", PROVEN, node("Reshape", "x", "s"), w={"s": i64(0, 2, 2)}),
    row("rows cut in two", "rows for each row", node("Reshape", "x", "s"), w={"s": i64(-1, 2)}),
    row("rows of free size", "may cut rows", node("Reshape", "x", "s"), w={"s": i64(-1, 5)}, x=["n", "m"]),
    row("folded", "folds the rows", node("Reshape", "x", "s"), w={"s": i64(2, -1)}),
    row("frames", "reduces axis 0", node("Reshape", "x", "s", outputs=["f"]),
        node("ReduceMean", "f", "a"), w={"s": i64(0, -1, 5), "a": i64(0)}, x=["n", "m"]),
    row("squeeze", PROVEN, node("Squeeze", "x", "a"), w={"a": i64(1)}, x=["n", 1, 3]),
    row("squeeze of all", "takes away axes of size 1", node("Squeeze", "x"), x=["n", 1, 3]),
    row("unsqueeze", PROVEN, node("Unsqueeze", "x", "a"), w={"a": i64(1)}),
    row("by shape", PROVEN, node("Shape", "x", outputs=["s"]), node("Gather", "s", "i", outputs=["g"]),
        node("Concat", "g", "t", outputs=["c"], axis=0), node("Reshape", "x", "c"),
        w={"i": i64(0), "t": i64(2, 2)}),
    row("expand", PROVEN, node("Expand", "x", "s"), w={"s": i64(1, 4)}),
    row("tile", PROVEN, node("Tile", "x", "r"), w={"r": i64(1, 2)}),
    row("tile rows", "repeats the rows", node("Tile", "x", "r"), w={"r": i64(2, 1)}),
    row("eye", "has no rule", node("EyeLike", "x")),
]  # fmt: skip

INDICES = [
    row("column", PROVEN, node("Gather", "x", "i", axis=1), w={"i": np.int64(0)}),
    row("one row", "picks among the rows", node("Gather", "x", "i"), w={"i": i64(0)}),
    row("embedding", PROVEN, node("Gather", "w", "x"), inputs=[value("x", ["n", 3], INT64)],
        w={"w": np.ones((9, 4), F)}),
    row("rows of rows", "lets rows choose out of rows", node("Gather", "x", "i"),
        inputs=[value("x"), value("i", ["n"], INT64)]),
    row("slice", PROVEN, node("Slice", "x", "s", "e", "a"), w={"s": i64(0), "e": i64(2), "a": i64(1)}),
    row("last rows", "cuts rows out", node("Slice", "x", "s", "e"), w={"s": i64(-1), "e": i64(2**62)}),
    row("backwards", "cuts rows out", node("Slice", "x", "s", "e", "a", "t"),
        w={"s": i64(-1), "e": i64(-(2**62)), "a": i64(0), "t": i64(-1)}),
    row("elements", PROVEN, node("GatherElements", "x", "i", axis=1),
        inputs=[value("x"), value("i", ["n", 2], INT64)]),
    row("elements of rows", "picks among the rows", node("GatherElements", "x", "i", axis=0),
        inputs=[value("x"), value("i", ["n", 4], INT64)]),
    row("range", "position of a row", node("Shape", "x", outputs=["s"], start=0, end=1),
        node("Squeeze", "s", outputs=["q"]), node("Range", "zero", "q", "one"),
        w={"zero": np.int64(0), "one": np.int64(1)}),
    row("one hot", PROVEN, node("OneHot", "x", "d", "v"), inputs=[value("x", ["n"], INT64)],
        w={"d": np.int64(5), "v": np.array([0, 1], F)}),
]  # fmt: skip

COMBINED = [
    row("concat", PROVEN, node("Concat", "x", "x", axis=1)),
    row("rows behind rows", "puts rows behind rows", node("Concat", "x", "x", axis=0)),
    row("beside a constant", "beside a constant", node("Concat", "x", "c", axis=1),
        w={"c": np.ones((1, 4), F)}),
    row("split", PROVEN, node("Split", "x", outputs=["y", "z"], axis=1, num_outputs=2)),
    row("split rows", "parts the rows", node("Split", "x", outputs=["y", "z"], axis=0, num_outputs=2)),
    row("lstm", PROVEN, node("Transpose", "x", outputs=["t"], perm=[1, 0, 2]),
        node("LSTM", "t", "w", "r", outputs=["a", "h", "c"], hidden_size=2),
        node("Squeeze", "h", "z"), x=["n", 5, 3], w={"z": i64(0),
        "w": np.ones((1, 8, 3), F), "r": np.ones((1, 8, 2), F)}),
    row("rows as steps", "batch axis that does not hold the rows",
        node("LSTM", "x", "w", "r", outputs=["a", "h", "c"], hidden_size=2), node("Squeeze", "h", "z"),
        x=["n", 5, 3], w={"z": i64(0), "w": np.ones((1, 8, 3), F), "r": np.ones((1, 8, 2), F)}),
    row("attention", PROVEN, node("MultiHeadAttention", "x", "x", "x", domain=MICROSOFT, num_heads=2),
        x=["n", 5, 4]),
    row("linear classifier", PROVEN, node("LinearClassifier", "x", outputs=["l", "y"], domain=CLASSICAL,
        coefficients=[0.0] * 8, classlabels_ints=[0, 1])),
    row("one row of features", "is not [rows, features]", node("Scaler", "x", domain=CLASSICAL), x=["n"]),
]  # fmt: skip


def branches(condition: str, given: str = "x") -> Any:
    """An If that negates what it is given, or not."""
    graphs = [
        helper.make_graph([node(operator, given, outputs=["r"])], "branch", [], [value("r", None)])
        for operator in ("Neg", "Identity")
    ]
    return node("If", condition, then_branch=graphs[0], else_branch=graphs[1])


TEXT = [value("x", ["n"], TensorProto.STRING)]
COUNTED: dict[str, Any] = {
    "mode": "TF", "min_gram_length": 1, "max_gram_length": 1, "max_skip_count": 0,
    "ngram_counts": [0], "ngram_indexes": [0, 1], "pool_strings": ["good", "bad"],
}  # fmt: skip
TEXTS = [
    row("words counted", PROVEN, node("StringNormalizer", "x", outputs=["l"], case_change_action="LOWER"),
        node("Tokenizer", "l", outputs=["t"], domain=MICROSOFT, mark=0, pad_value="#", tokenexp="[a-z]+",
             mincharnum=1), node("Flatten", "t", outputs=["f"]), node("TfIdfVectorizer", "f", **COUNTED),
        inputs=TEXT),
    row("split words counted", PROVEN, node("StringSplit", "x", outputs=["t", "c"]),
        node("TfIdfVectorizer", "t", **COUNTED), inputs=TEXT),
    row("number of words", PROVEN, node("StringSplit", "x", outputs=["t", "y"]), inputs=TEXT),
    row("padding counted", "counts what fills rows up", node("StringSplit", "x", outputs=["t", "c"]),
        node("TfIdfVectorizer", "t", **COUNTED | {"pool_strings": ["good", ""]}), inputs=TEXT),
    row("words", "as wide as the longest", node("StringSplit", "x", outputs=["y", "c"]), inputs=TEXT),
    row("words compared", "filled up to the length of the longest",
        node("StringSplit", "x", outputs=["t", "c"]), node("RegexFullMatch", "t", pattern="a"),
        inputs=TEXT),
    row("the widest", "filled up to the length of the longest",
        node("StringSplit", "x", outputs=["t", "c"]), node("Shape", "t", start=1), inputs=TEXT),
    row("words in a branch", "filled up to the length of the longest",
        node("StringSplit", "x", outputs=["t", "c"]), branches("yes", "t"),
        w={"yes": np.array(True)}, inputs=TEXT),
    row("stop words", "leaves rows out", node("StringNormalizer", "x", stopwords=["a"]), inputs=TEXT),
    row("one row of words", "is not [rows]", node("StringNormalizer", "x"),
        inputs=[value("x", ["n", 4], TensorProto.STRING)]),
]  # fmt: skip


def loop(operator: str) -> Any:
    """A loop of three turns over a state that begins with x."""
    body = helper.make_graph(
        [node("Identity", "go", outputs=["on"]), node(operator, "s", outputs=["t"], axis=1)],
        "body",
        [value("i", [], INT64), value("go", [], BOOL), value("s", None)],
        [value("on", [], BOOL), value("t", None)],
    )
    return node("Loop", "three", "yes", "x", body=body)


TURNS = {"three": np.int64(3), "yes": np.array(True)}
BRANCHES = [
    row("if", PROVEN, branches("c"), w={"c": np.array(True)}),
    row("if the number of rows says so", "takes the branch that the rows say",
        node("Size", "x", outputs=["s"]), node("Greater", "s", "eight", outputs=["c"]), branches("c"),
        w={"eight": np.int64(8)}),
    row("loop", PROVEN, loop("Softmax"), w=TURNS),
    row("loop over rows", "no rule", loop("EyeLike"), w=TURNS),
]  # fmt: skip

ALL = [
    *ELEMENTWISE, *REFUSALS, *NORMALIZATIONS, *REDUCTIONS, *MATRICES, *IMAGES, *SHAPES, *INDICES,
    *COMBINED, *BRANCHES, *TEXTS,
]  # fmt: skip


@pytest.mark.parametrize(("expected", "nodes", "inputs", "weights", "opset"), ALL)
def test_rows_are_proven_to_stay_apart_or_a_node_is_blamed(
    expected: str, nodes: Sequence[Any], inputs: Sequence[Any], weights: Any, opset: int
) -> None:
    """Each family, with rows on an axis that it leaves alone and on one that it works along."""
    found = analyse(model(nodes, inputs, weights=weights, opset=opset)).obstacle
    assert bool(expected) == bool(found)
    assert expected in found


HITS = "output 'y' has as many rows as node 'h' (NonZero) finds"


@pytest.mark.parametrize(
    ("expected", "nodes", "weights"),
    [
        (HITS, [node("NonZero", "x", outputs=["h"]), node("Transpose", "h")], {}),
        ("", [node("NonZero", "x", outputs=["h"]), node("Identity", "h")], {}),
        (
            HITS,
            [
                node("NonZero", "x", outputs=["h"]),
                node("Gather", "h", "one", outputs=["r"], axis=0),
                node("Gather", "x", "r", outputs=["f"], axis=0),
                node("Unsqueeze", "f", "axis", outputs=["u"]),
                node("Squeeze", "u", "axis", outputs=["s"]),
                node("Concat", "s", "s", outputs=["c"], axis=1),
                node("Reshape", "c", "flat"),
            ],
            {"one": np.int64(0), "axis": i64(0), "flat": i64(-1)},
        ),
        (
            "",  # one for each row: as many as there are
            [
                node("Shape", "x", outputs=["s"], end=1),
                node(
                    "ConstantOfShape",
                    "s",
                    outputs=["ones"],
                    value=helper.make_tensor("v", 1, [1], [1]),
                ),
                node("NonZero", "ones", outputs=["h"]),
                node("Transpose", "h"),
            ],
            {},
        ),
    ],
    ids=["hits", "hits on another axis", "picked", "one for each row"],
)
def test_outputs_with_as_many_rows_as_are_found_are_known(
    expected: str, nodes: Sequence[Any], weights: Mapping[str, Any]
) -> None:
    """From the operator that finds them through those that hand them on, where that is certain."""
    found = analyse(model(nodes, weights=weights)).impossible
    assert bool(expected) == ("finds" in found)
    assert expected in found


def attention() -> list[Any]:
    """One head's attention over a free length, with shapes computed as exporters compute them."""
    parts = [
        node("Shape", "x", outputs=["shape"]),
        node("Gather", "shape", "zero", outputs=["rows"], axis=0),
        node("Gather", "shape", "one", outputs=["length"], axis=0),
        node("Concat", "rows", "length", "heads", outputs=["split"], axis=0),
        node("Concat", "rows", "length", "width", outputs=["whole"], axis=0),
        node("Reshape", "x", "split", outputs=["h"]),
        node("Transpose", "h", outputs=["q"], perm=[0, 2, 1, 3]),
        node("Transpose", "h", outputs=["k"], perm=[0, 2, 3, 1]),
        node("MatMul", "q", "k", outputs=["scores"]),
        node("Softmax", "scores", outputs=["weights"], axis=-1),
        node("MatMul", "weights", "q", outputs=["mixed"]),
        node("Transpose", "mixed", outputs=["back"], perm=[0, 2, 1, 3]),
    ]
    return [*parts, node("Reshape", "back", "whole")]


@pytest.mark.parametrize(("axis", "expected"), [(-1, PROVEN), (0, "over the rows")])
def test_shapes_that_are_computed_are_followed(axis: int, expected: str) -> None:
    """Attention over sentences of any length is proven; normalised over the rows it is not."""
    nodes = attention()
    nodes[9] = node("Softmax", "scores", outputs=["weights"], axis=axis)
    weights = {"zero": i64(0), "one": i64(1), "heads": i64(2, 8), "width": i64(16)}
    found = analyse(model(nodes, [value("x", ["n", "s", 16])], weights=weights)).obstacle
    assert bool(expected) == bool(found)
    assert expected in found
