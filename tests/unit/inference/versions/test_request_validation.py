"""Which requests fit a version."""

from __future__ import annotations

import math

import pytest

from headrace.datatypes import Datatype
from headrace.errors import InvalidArgument
from headrace.state.records import Signature, TensorSpec
from headrace_inference.domain.scheduling.requests import TensorHeader
from headrace_inference.domain.versions.request_validation import plan_request
from tests.unit.inference.doubles import SIGNATURE, header

TWO_INPUTS = Signature(
    inputs=(
        TensorSpec("a", Datatype.FP32, (-1, 2)),
        TensorSpec("b", Datatype.BYTES, (-1,)),
    ),
    outputs=SIGNATURE.outputs,
)


def test_a_plan_orders_inputs_as_the_graph_does() -> None:
    """Inputs may come in any order; sizes are known for fixed-size datatypes only."""
    inputs = [TensorHeader("b", "BYTES", (3,)), TensorHeader("a", "FP32", (3, 2))]

    plan = plan_request("m", TWO_INPUTS, 8, inputs, ["n"])

    assert plan.order == (1, 0)
    assert plan.sizes == (24, None)
    assert plan.rows == 3
    assert plan.outputs == (1,)


OPTIONAL = Signature(
    inputs=(TensorSpec("x", Datatype.FP32, (-1, 2)),),
    outputs=SIGNATURE.outputs,
    optional_inputs=(
        TensorSpec("bias", Datatype.FP32, (2,)),
        TensorSpec("scale", Datatype.FP32, ()),
    ),
)


def test_optional_inputs_follow_the_required_ones() -> None:
    """A request that brings one runs alone, whatever its rows; one that brings none is as all others."""
    x, scale = header(3), TensorHeader("scale", "FP32", ())

    plan = plan_request("m", OPTIONAL, 8, [scale, x], [])

    assert (1, 0) == plan.order
    assert (1,) == plan.optional
    assert (24, 4) == plan.sizes
    assert 3 == plan.rows
    assert plan.batch_key is None
    assert plan_request("m", SIGNATURE, 8, [x], []) == plan_request("m", OPTIONAL, 8, [x], [])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (TensorHeader("scale", "FP32", (1,)), "SHAPE_MISMATCH"),
        (TensorHeader("bias", "FP64", (2,)), "DATATYPE_MISMATCH"),
        (TensorHeader("other", "FP32", ()), "INPUT_UNKNOWN"),
    ],
)
def test_optional_inputs_are_checked_like_others(given: TensorHeader, reason: str) -> None:
    """Their shapes have no batch dimension."""
    with pytest.raises(InvalidArgument) as caught:
        plan_request("m", OPTIONAL, 8, [header(3), given], [])
    assert reason == caught.value.reason


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4)])
def test_an_input_of_unknown_rank_takes_any_shape(shape: tuple[int, ...]) -> None:
    """Only the datatype is known; sizes follow from what is sent, and nothing is batched."""
    signature = Signature((TensorSpec("x", Datatype.FP32, (), unranked=True),), ())

    plan = plan_request("m", signature, 0, [TensorHeader("x", "FP32", shape)], [])

    assert (shape,) == plan.shapes
    assert (4 * math.prod(shape),) == plan.sizes
    assert plan.batch_key is None


@pytest.mark.parametrize(
    ("shape", "reason"), [((-1,), "SHAPE_NEGATIVE"), ((1 << 20, 1 << 20), "SHAPE_TOO_LARGE")]
)
def test_an_unknown_rank_is_no_way_around_the_limits(shape: tuple[int, ...], reason: str) -> None:
    """Sizes below 0 and sizes that no message holds are refused before any arithmetic."""
    signature = Signature((TensorSpec("x", Datatype.FP32, (), unranked=True),), ())
    with pytest.raises(InvalidArgument) as caught:
        plan_request("m", signature, 0, [TensorHeader("x", "FP32", shape)], [])
    assert reason == caught.value.reason


def test_requests_of_other_row_shapes_do_not_share_a_batch() -> None:
    """The batch key is the shape of a row."""
    free = Signature((TensorSpec("x", Datatype.FP32, (-1, -1)),), SIGNATURE.outputs)

    keys = {
        plan_request("m", free, 8, [header(1, columns=columns)], []).batch_key for columns in (2, 3)
    }

    assert len(keys) == 2


def test_a_version_without_batching_runs_each_request_alone() -> None:
    """Without a batch dimension there is no batch key."""
    assert plan_request("m", SIGNATURE, 0, [header(5)], []).batch_key is None


@pytest.mark.parametrize(
    ("inputs", "outputs", "reason"),
    [
        ([], [], "INPUT_MISSING"),
        ([header(), header()], [], "INPUT_DUPLICATE"),
        ([header(name="z")], [], "INPUT_UNKNOWN"),
        ([header(datatype="INT64")], [], "DATATYPE_MISMATCH"),
        ([header(datatype="FP128")], [], "DATATYPE_MISMATCH"),
        ([header(columns=3)], [], "SHAPE_MISMATCH"),
        ([TensorHeader("x", "FP32", ())], [], "SHAPE_MISMATCH"),
        ([TensorHeader("x", "FP32", (1, 2, 1))], [], "SHAPE_MISMATCH"),
        ([header(rows=-1)], [], "SHAPE_NEGATIVE"),
        ([header(rows=9)], [], "BATCH_TOO_LARGE"),
        ([header(rows=2**62)], [], "SHAPE_TOO_LARGE"),
        ([header()], ["q"], "OUTPUT_UNKNOWN"),
        ([header()], ["y", "y"], "OUTPUT_DUPLICATE"),
    ],
)
def test_what_does_not_fit_is_refused(
    inputs: list[TensorHeader], outputs: list[str], reason: str
) -> None:
    """Each misfit has its reason."""
    with pytest.raises(InvalidArgument) as caught:
        plan_request("m", SIGNATURE, 8, inputs, outputs)

    assert reason == caught.value.reason


def test_a_larger_request_runs_alone_where_that_is_allowed() -> None:
    """More rows than a batch takes are no mistake where nobody set the limit."""
    plan = plan_request("m", SIGNATURE, 8, [header(rows=500)], [], allow_larger=True)

    assert plan.rows == 500


def test_inputs_of_different_batch_sizes_are_refused() -> None:
    """All inputs bring the same number of rows."""
    inputs = [TensorHeader("a", "FP32", (3, 2)), TensorHeader("b", "BYTES", (2,))]

    with pytest.raises(InvalidArgument, match="batch size does not match"):
        plan_request("m", TWO_INPUTS, 8, inputs, [])


def test_inputs_of_different_batch_sizes_run_alone_where_nobody_asked_for_batches() -> None:
    """The graph may broadcast them; batching is no condition."""
    inputs = [TensorHeader("a", "FP32", (3, 2)), TensorHeader("b", "BYTES", (1,))]
    plan = plan_request("m", TWO_INPUTS, 8, inputs, [], allow_larger=True)
    assert (3, None) == (plan.rows, plan.batch_key)
