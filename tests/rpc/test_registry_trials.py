"""What is pushed is run once: what would bring replicas down is refused, and nothing else."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from headrace import errors
from headrace.state.records import Sample, SampleInput, WarmUp
from headrace_registry.domain.pushes.artifacts import Format, RequestedOptions
from tests.rpc.checker_fixtures import bench
from tests.rpc.registry_fixtures import graph_file, zip_of

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
MIB = 1 << 20
info = helper.make_tensor_value_info
NEVER_WARMED = RequestedOptions(warm_up=WarmUp(runs=0))


def a_graph(nodes: list[Any], *weights: Any, x: Any = None, y: Any = None) -> bytes:
    """A graph from x to y, rows of four numbers unless said otherwise."""
    given = x or info("x", FLOAT, ["n", 4])
    gives = y or info("y", FLOAT, None)
    return graph_file(helper.make_graph(nodes, "tried", [given], [gives], list(weights)))


def constant(name: str, *values: int) -> Any:
    """Whole numbers."""
    return numpy_helper.from_array(np.array(values, np.int64), name)


def looping_while(*condition: Any) -> bytes:
    """A graph with a loop that goes on while the condition on x, `on`, holds."""
    nodes = [*condition, helper.make_node("Identity", ["state"], ["next"])]
    body = helper.make_graph(
        nodes,
        "body",
        [info("turn", INT64, []), info("go", BOOL, []), info("state", FLOAT, None)],
        [info("on", BOOL, []), info("next", FLOAT, None)],
    )
    yes = numpy_helper.from_array(np.array(True), "yes")
    loop = helper.make_node("Loop", ["", "yes", "x"], ["y"], body=body)
    return a_graph([loop], yes, constant("one", 1))


ENDLESS = looping_while(helper.make_node("Identity", ["go"], ["on"]))
ENDLESS_ON_ZEROS = looping_while(
    helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
    helper.make_node("Cast", ["sum"], ["positive"], to=BOOL),
    helper.make_node("Not", ["positive"], ["on"]),
)
HUGE = a_graph([helper.make_node("Expand", ["x", "to"], ["y"])], constant("to", 200 * MIB, 4))
OVERFLOWING = a_graph(
    [
        helper.make_node("Add", ["x", "least"], ["sum"]),
        helper.make_node("Div", ["sum", "minus"], ["y"]),
    ],
    constant("least", -(2**63)),
    constant("minus", -1),
    x=info("x", INT64, ["n", 4]),
    y=info("y", INT64, ["n", 4]),
)
"""Of all operators only this division ends the process that runs it."""


@pytest.mark.parametrize(
    ("graph", "reason", "said"),
    [
        (ENDLESS, "MODEL_ENDLESS", "set warm_up.runs to 0"),
        (HUGE, "MODEL_CHECK_OUT_OF_MEMORY", "while it ran"),
        (OVERFLOWING, "MODEL_CHECK_FAILED", "SIGFPE while it ran on made-up inputs"),
    ],
    ids=["endless", "huge", "crashing"],
)
async def test_what_would_bring_a_replica_down_is_refused(
    tmp_path: Path, graph: bytes, reason: str, said: str
) -> None:
    """One that runs for ever, one that takes all memory, one that ends its process."""
    with (
        bench(tmp_path, trial_seconds=0.3, memory_bytes=1 << 30) as here,
        pytest.raises(errors.InvalidArgument, match=said) as raised,
    ):
        await here.check(graph)
    assert reason == raised.value.reason


async def test_what_only_comparing_rows_brings_down_is_taken(tmp_path: Path) -> None:
    """Comparing them is for the sake of speed: such a version does not batch."""
    with bench(tmp_path) as here:
        checked, _ = await here.check(OVERFLOWING, asked=NEVER_WARMED)
        assert 2 == here.threads.children
    assert "comparing its rows ended the process that did so" == checked.invariance.obstacle


@pytest.mark.parametrize("graph", [ENDLESS, HUGE], ids=["endless", "huge"])
async def test_what_no_replica_warms_is_not_run(tmp_path: Path, graph: bytes) -> None:
    """Its pusher said so."""
    with bench(tmp_path, trial_seconds=0.3, memory_bytes=1 << 30) as here:
        checked, _ = await here.check(graph, asked=NEVER_WARMED)
    assert () == checked.notices


async def test_a_sample_is_run_instead_of_what_is_made_up(tmp_path: Path) -> None:
    """A loop that ends on real values only is taken with one of them."""
    row = io.BytesIO()
    np.save(row, np.ones((1, 4), np.float32))
    artifact = zip_of({"model.onnx": ENDLESS_ON_ZEROS, "row.npy": row.getvalue()})
    sample = Sample("ones", {"x": SampleInput("row.npy")})
    with bench(tmp_path, trial_seconds=0.3) as here:
        with pytest.raises(errors.InvalidArgument, match="did not end"):
            await here.check(artifact, Format.ZIP)
        asked = RequestedOptions(warm_up=WarmUp(samples=(sample,)))
        checked, _ = await here.check(artifact, Format.ZIP, asked)
    assert () == checked.notices


@pytest.mark.parametrize(
    ("graph", "notices"),
    [
        (a_graph([helper.make_node("Relu", ["x"], ["y"])]), []),
        (
            a_graph(
                [helper.make_node("Identity", ["x"], ["y"])],
                x=info("x", TensorProto.STRING, ["n", "m"]),
                y=info("y", TensorProto.STRING, ["n", "m"]),
            ),
            [],
        ),
        (
            a_graph(
                [helper.make_node("MatMul", ["x", "w"], ["y"])],
                numpy_helper.from_array(np.zeros((4, 4), np.float32), "w"),
                x=info("x", FLOAT, ["n", "any"]),
            ),
            ["not tried: on made-up inputs it fails with "],
        ),
        (
            a_graph(
                [helper.make_node("Identity", ["x"], ["y"])],
                x=info("x", TensorProto.BFLOAT16, ["n", 4]),
                y=info("y", TensorProto.BFLOAT16, ["n", 4]),
            ),
            ["not tried: BF16 tensors cannot be tried"],
        ),
        (
            a_graph([helper.make_node("Relu", ["x"], ["y"])], x=info("x", FLOAT, [1, 100 * MIB])),
            ["not tried: its inputs are too large to be made up"],
        ),
        (
            a_graph(
                [helper.make_node("Expand", ["x", "to"], ["y"])],
                constant("to", 2000 * MIB, 4),
                x=info("x", FLOAT, ["n", "any"]),
            ),
            ["not tried: on made-up inputs it fails with "],  # another size may be the right one
        ),
    ],
)
async def test_what_cannot_be_tried_is_taken_with_a_notice(
    tmp_path: Path, graph: bytes, notices: list[str]
) -> None:
    """Made-up inputs may be wrong for a model: a run that fails on them refuses nothing."""
    with bench(tmp_path) as here:
        checked, _ = await here.check(graph)
    assert len(notices) == len(checked.notices)
    assert all(map(str.startswith, checked.notices, notices))


@pytest.mark.toolchain
async def test_a_slow_graph_without_a_loop_is_taken(tmp_path: Path) -> None:
    """It comes to an end by itself, on a replica with more cores soon enough."""
    chain = [
        helper.make_node("MatMul", [f"p{step}", "p0"], [f"p{step + 1}"]) for step in range(3000)
    ]
    graph = a_graph(
        [
            helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
            helper.make_node("Expand", ["sum", "to"], ["p0"]),
            *chain,
            helper.make_node("Identity", ["p3000"], ["y"]),
        ],
        constant("to", 800, 800),
    )
    with bench(tmp_path, seconds=8.0) as here:
        checked, _ = await here.check(graph)
    assert ["not tried: one row takes over"] == [notice[:29] for notice in checked.notices]
