"""Random graphs, and ONNX's own test cases: nothing is proven that mixes rows when ONNX Runtime runs it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace_registry.adapters.batch_invariance import analyse
from tests.unit.registry.batch_invariance.row_graphs import (
    Feeds,
    model,
    node,
    ran,
    session,
    stays_apart,
    value,
)

LOUDNESS = ((1.0, 1.0), (0.01, 100.0, 1.0), (1.0, 3.0, 1000.0, 0.1, 30.0))
SHAPES: Mapping[str, Sequence[int]] = {"x": (4, 6), "y": (6,), "z": (2, 4, 6), "i": (3,)}
TAILS = ([-1], [-1, 6], [4, 6], [6, -1], [2, -1, 6])
TARGETS = (
    [-1, 6], [-1, 24], [0, -1], [-1, 4, 6], [1, -1, 6], [6, -1], [-1], [0, -1, 3], [-1, 2, 3],
    [0, 0, -1], [2, -1, 3], [-1, 12], [4, -1],
)  # fmt: skip
BESIDE = ([6], [1, 6], [4, 6], [1, 1, 6], [2, 4, 6], [4, 1], [1])
EQUATIONS = (
    "abc,ac->abc",
    "abc,dc->abd",
    "abc,abd->acd",
    "abc,adbc->ab",
    "abc,ac->bc",
    "bac,ac->abc",
)


class Sketch:
    """A graph under construction: `ranks` of the tensors that steps may take."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self._draw = draw
        self.nodes: list[Any] = []
        self.weights: dict[str, Any] = {}
        self.ranks = {"x": 3, "y": 2, "z": 4}

    def pick(self, choices: Sequence[Any]) -> Any:
        """One of several."""
        return self._draw(st.sampled_from(choices))

    def axis(self, name: str) -> int:
        """An axis of a tensor."""
        return int(self._draw(st.integers(0, max(0, self.ranks[name] - 1))))

    def tensor(self) -> str:
        """A tensor, one of the latest more often than not."""
        names = list(self.ranks)
        return str(self.pick(names[-4:] if self.pick((True, True, False)) else names))

    def constant(self, numbers: Any) -> str:
        """A weight with these numbers."""
        name = f"w{len(self.weights)}"
        self.weights[name] = np.asarray(numbers)
        return name

    def floats(self, *shape: int) -> str:
        """A random weight."""
        seed = len(self.weights)
        return self.constant(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))

    def hidden(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """A node whose output later steps do not take."""
        name = f"t{len(self.nodes)}"
        self.nodes.append(node(operator, *inputs, outputs=[name], **attributes))
        return name

    def add(self, rank: int, operator: str, *inputs: str, **attributes: Any) -> None:
        """A node whose output has this rank."""
        self.ranks[self.hidden(operator, *inputs, **attributes)] = rank

    def rows(self) -> str:
        """The number of rows, as exporters take it from a shape."""
        shape = self.hidden("Shape", self.pick(("x", "y", "z", "i")))
        return self.hidden("Gather", shape, self.constant(np.array([0])), axis=0)


def _pointwise(s: Sketch, a: str) -> None:
    kind = s.pick(("one", "two", "constant", "where"))
    if kind == "one":
        return s.add(s.ranks[a], s.pick(("Relu", "Tanh", "Identity", "Neg")), a)
    if kind == "constant":
        return s.add(max(3, s.ranks[a]), "Add", a, s.floats(*s.pick(BESIDE)))
    b = s.tensor()
    rank = max(s.ranks[a], s.ranks[b])
    if kind == "two":
        return s.add(rank, s.pick(("Add", "Mul", "Sub", "Max")), a, b)
    return s.add(rank, "Where", s.hidden("Greater", a, s.constant(np.float32(0))), a, b)


def _along(s: Sketch, a: str) -> None:
    rank, axis = s.ranks[a], s.axis(a)
    kind = s.pick(("Softmax", "LogSoftmax", "LpNormalization", "CumSum", "LayerNormalization"))
    if kind == "CumSum":
        s.add(rank, kind, a, s.constant(np.array(axis)))
    elif kind == "LayerNormalization":
        s.add(rank, kind, a, s.constant(np.ones(6, np.float32)), axis=s.pick((-1, axis)))
    else:
        s.add(rank, kind, a, axis=axis)


def _reduce(s: Sketch, a: str) -> None:
    rank, axis, keep = s.ranks[a], s.axis(a), s.pick((0, 1))
    kind = s.pick(("mean", "largest", "top"))
    if kind == "mean":
        operator = s.pick(("ReduceMean", "ReduceSum", "ReduceMax"))
        s.add(rank if keep else rank - 1, operator, a, s.constant(np.array([axis])), keepdims=keep)
    elif kind == "largest":
        s.add(rank - 1, "Cast", s.hidden("ArgMax", a, axis=axis, keepdims=0), to=1)
    else:
        name = f"t{len(s.nodes)}"
        one = s.constant(np.array([1]))
        s.nodes.append(node("TopK", a, one, outputs=[name, f"{name}i"], axis=axis))
        s.ranks[name] = rank


def _shape(s: Sketch, a: str) -> None:
    rank, axis = s.ranks[a], s.axis(a)
    kind = s.pick(("transpose", "reshape", "by rows", "unsqueeze", "squeeze", "flatten"))
    if kind == "transpose":
        s.add(rank, "Transpose", a, perm=s._draw(st.permutations(range(rank))))
    elif kind == "reshape":
        target = s.pick(TARGETS)
        s.add(len(target), "Reshape", a, s.constant(np.array(target)))
    elif kind == "by rows":
        _by_rows(s, a)
    elif kind == "unsqueeze":
        s.add(rank + 1, "Unsqueeze", a, s.constant(np.array([axis])))
    elif kind == "squeeze":
        axes = [s.constant(np.array([axis]))] if s.pick((True, True, False)) else []
        s.add(rank - 1, "Squeeze", a, *axes)
    else:
        s.add(2, "Flatten", a, axis=axis)


def _by_rows(s: Sketch, a: str) -> None:
    rows, tail = s.rows(), s.pick(TAILS)
    if s.pick((True, False, False)):
        rows = s.hidden("Mul", rows, s.constant(np.array([s.pick((2, 4))])))
    parts = [rows, s.constant(np.array(tail))]
    parts = parts if s.pick((True, True, True, False)) else parts[::-1]
    target = s.hidden("Concat", *parts, axis=0)
    s.add(len(tail) + 1, s.pick(("Reshape", "Reshape", "Expand")), a, target)


def _choose(s: Sketch, a: str) -> None:
    rank, axis = s.ranks[a], s.axis(a)
    kind = s.pick(("slice", "gather", "embed", "split", "own"))
    if kind == "slice":
        ends = (1, 2, -1, 2**31 - 1, 2**62)
        numbers = ([s.pick((-2, -1, 0, 1))], [s.pick(ends)], [axis], [s.pick((1, 1, 2, -1))])
        s.add(rank, "Slice", a, *(s.constant(np.array(n)) for n in numbers))
    elif kind == "gather":
        index = s.pick((np.array([0]), np.array(0)))
        s.add(rank - (index.ndim == 0), "Gather", a, s.constant(index), axis=axis)
    elif kind == "embed":
        s.add(3, "Gather", s.floats(6, 6), "i", axis=s.pick((0, 1)))
    elif kind == "split":
        name = f"t{len(s.nodes)}"
        s.nodes.append(node("Split", a, outputs=[name, f"{name}b"], axis=axis, num_outputs=2))
        s.ranks[name] = rank
    else:
        _own_of_each_row(s, a)


def _own_of_each_row(s: Sketch, a: str) -> None:
    """x[arange(rows), i], as PyTorch exports it."""
    count = s.hidden("Squeeze", s.rows())
    zero, one = s.constant(np.int64(0)), s.constant(np.int64(1))
    number = s.hidden("Range", zero, count, one)
    number = s.hidden("Unsqueeze", number, s.constant(np.array([1])))
    cut = (s.constant(np.array([place])) for place in (0, 1, 1))
    column = s.hidden("Slice", "i", *cut)
    parts = [number, column] if s.pick((True, True, False)) else [column, number]
    s.add(max(1, s.ranks[a] - 1), "GatherND", a, s.hidden("Concat", *parts, axis=1))


def _combine(s: Sketch, a: str) -> None:
    rank, b = s.ranks[a], s.tensor()
    kind = s.pick(("concat", "product", "transposed", "weights", "conv", "einsum"))
    if kind == "concat":
        s.add(rank, "Concat", a, b, axis=s.axis(a))
    elif kind == "product":
        s.add(max(rank, s.ranks[b], 2), "MatMul", a, b)
    elif kind == "transposed":
        last = s.ranks[b] - 1
        turned = s.hidden("Transpose", b, perm=[*range(last - 1), last, last - 1]) if last else b
        s.add(max(rank, s.ranks[b], 2), "MatMul", a, turned)
    elif kind == "weights":
        weight = s.floats(*s.pick(((6, 6), (6, 4), (4, 6), (4, 4))))
        s.add(rank, "MatMul", *((a, weight) if s.pick((True, True, False)) else (weight, a)))
    elif kind == "conv":
        s.add(rank, "Conv", a, s.floats(2, s.pick((2, 4)), *[1] * max(0, rank - 2)))
    else:
        s.add(3, "Einsum", a, b, equation=s.pick(EQUATIONS))


def _stretch(s: Sketch, a: str) -> None:
    rank = s.ranks[a]
    kind = s.pick(("tile", "expand", "pad"))
    if kind == "tile":
        s.add(rank, "Tile", a, s.constant(np.array([s.pick((1, 1, 2)) for _ in range(rank)])))
    elif kind == "expand":
        target = s.pick(([4, 6], [2, 1, 1], [1, 4, 6], [3, 1, 1, 1], [1]))
        s.add(max(rank, len(target)), "Expand", a, s.constant(np.array(target)))
    else:
        pads = [s.pick((0, 0, 0, 1)) for _ in range(2 * rank)]
        s.add(rank, "Pad", a, s.constant(np.array(pads)))


STEPS = (_pointwise, _pointwise, _along, _reduce, _shape, _shape, _choose, _combine, _stretch)


@st.composite
def graphs(draw: Callable[[Any], Any]) -> Any:
    """A model of up to seven steps, without the nodes that lead to no output."""
    sketch = Sketch(draw)
    for _ in range(draw(st.integers(1, 7))):
        operand = sketch.tensor()
        if sketch.ranks[operand] > 0:
            sketch.pick(STEPS)(sketch, operand)
    free = draw(st.booleans())
    last = list(sketch.ranks)[-1]
    live, kept = {last}, list[Any]()
    for one in reversed(sketch.nodes):
        if live & set(one.output):
            kept.insert(0, one)
            live |= set(one.input)
    used = {name for one in kept for name in one.input}
    inputs = [_input(name, free=free) for name in SHAPES if name in used]
    weights = {name: array for name, array in sketch.weights.items() if name in used}
    return model(kept, inputs, [value(last, None)], weights, opset=18) if kept and inputs else None


def _input(name: str, *, free: bool) -> Any:
    sizes: list[int | str | None] = ["b", *SHAPES[name]]
    if free and len(sizes) > 2:
        sizes[-2] = f"free {name}"
    return value(name, sizes, 7 if name == "i" else 1)


def made_up(built: Any, loudness: Sequence[float], seed: int) -> list[Feeds]:
    """Requests of one row each."""
    random = np.random.default_rng(seed)
    names = [info.name for info in built.graph.input]
    return [{name: _row(random, name, factor) for name in names} for factor in loudness]


def _row(random: np.random.Generator, name: str, factor: float) -> Any:
    shape = (1, *SHAPES[name])
    if name == "i":
        return random.integers(0, 4, shape)
    return (random.standard_normal(shape) * factor).astype(np.float32)


class Laboratory:
    """A process to check graphs in: the shape inference of ONNX and of its runtime can abort theirs."""

    def __init__(self) -> None:
        self._pool = self._opened()

    @staticmethod
    def _opened() -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

    def check(self, built: Any) -> None:
        """Fail where rows are proven to stay apart and do not. What ends the process is not proven."""
        if built is None:
            return
        try:
            self._pool.submit(check, built.SerializeToString()).result()
        except BrokenProcessPool:
            self.close()
            self._pool = self._opened()

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def laboratory() -> Iterator[Laboratory]:
    """One process for all graphs, but for those that end it."""
    opened = Laboratory()
    yield opened
    opened.close()


def check(graph: bytes) -> None:
    """Fail where rows are proven to stay apart and do not."""
    built = onnx.load_from_string(graph)
    if analyse(built).obstacle:
        return
    try:
        opened = session(built)
    except Exception:  # noqa: BLE001  # ONNX Runtime has no common class for its errors
        return
    for seed, loudness in enumerate(LOUDNESS):
        rows = made_up(built, loudness, seed)
        lone = ran(opened, rows[0])
        if lone is None or lone[0].shape[:1] != (1,):
            return  # the trial sees it
        assert stays_apart(opened, rows) is not False


QUICK = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=250,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@QUICK
@given(graphs())
def test_no_random_graph_is_proven_that_mixes_rows(laboratory: Laboratory, built: Any) -> None:
    """Rows alone against rows together, in batches of 2, 3 and 5, loud ones beside quiet ones."""
    laboratory.check(built)


@pytest.mark.toolchain
@pytest.mark.timeout(900)
@settings(QUICK, derandomize=False, max_examples=20_000)
@given(graphs())
def test_none_of_many_random_graphs_is_proven_that_mixes_rows(
    laboratory: Laboratory, built: Any
) -> None:
    """The same for many more graphs, other ones each time."""
    laboratory.check(built)
