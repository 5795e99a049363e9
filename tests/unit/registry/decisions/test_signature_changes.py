"""Which signatures can take the place of which, and how differences are said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.datatypes import Datatype
from headrace.state.records import Signature, TensorSpec
from headrace_registry.domain.decisions.signature_changes import listed, signature_changes


def spec(name: str, *shape: int, datatype: Datatype = Datatype.FP32) -> TensorSpec:
    """A tensor."""
    return TensorSpec(name, datatype, shape, ("",) * len(shape))


X, Y = spec("x", -1, 4), spec("y", -1, 2)
BASE = Signature((X,), (Y,))
ANY = replace(spec("x"), unranked=True)

HARMLESS = [
    pytest.param(BASE, BASE, id="the same"),
    pytest.param(
        BASE, replace(BASE, inputs=(replace(X, dim_names=("n", "m")),)), id="names of dimensions"
    ),
    pytest.param(BASE, replace(BASE, inputs=(spec("x", -1, -1),)), id="a dimension became free"),
    pytest.param(BASE, replace(BASE, inputs=(ANY,)), id="any rank is accepted"),
    pytest.param(BASE, replace(BASE, optional_inputs=(spec("z", 1),)), id="a new optional input"),
    pytest.param(BASE, Signature((), (Y,), (X,)), id="an input became optional"),
    pytest.param(BASE, replace(BASE, outputs=(spec("z", -1), Y)), id="a new output"),
    pytest.param(BASE, replace(BASE, outputs=(spec("y", 8, 2),)), id="an output became fixed"),
    pytest.param(
        Signature((spec("x", 1, 4),), (spec("y", 1, 2),)), BASE, id="rows became free everywhere"
    ),
]


@pytest.mark.parametrize(("before", "after"), HARMLESS)
def test_versions_that_accept_or_promise_more_break_nobody(
    before: Signature, after: Signature
) -> None:
    """A row each."""
    assert () == signature_changes(before, after)


BREAKING = [
    (replace(BASE, inputs=()), "input 'x' is gone"),
    (replace(BASE, inputs=(X, spec("z", -1))), "input 'z' (FP32 [-1]) is new"),
    (replace(BASE, inputs=(spec("x", -1, 5),)), "input 'x' was FP32 [-1, 4] and is FP32 [-1, 5]"),
    (replace(BASE, inputs=(spec("x", 1, 4),)), "input 'x' was FP32 [-1, 4] and is FP32 [1, 4]"),
    (replace(BASE, inputs=(spec("x", -1),)), "input 'x' was FP32 [-1, 4] and is FP32 [-1]"),
    (
        replace(BASE, inputs=(replace(X, datatype=Datatype.INT64),)),
        "input 'x' was FP32 [-1, 4] and is INT64 [-1, 4]",
    ),
    (replace(BASE, outputs=()), "output 'y' is gone"),
    (replace(BASE, outputs=(spec("y", -1, 3),)), "output 'y' was FP32 [-1, 2] and is FP32 [-1, 3]"),
    (
        replace(BASE, outputs=(spec("y", -1, -1),)),
        "output 'y' was FP32 [-1, 2] and is FP32 [-1, -1]",
    ),
    (
        replace(BASE, outputs=(replace(Y, shape=(), unranked=True),)),
        "output 'y' was FP32 [-1, 2] and is FP32 of any shape",
    ),
]


@pytest.mark.parametrize(("after", "expected"), BREAKING)
def test_what_breaks_callers_is_said(after: Signature, expected: str) -> None:
    """A row each: what is missing, new, of another datatype or of another shape."""
    assert (expected,) == signature_changes(BASE, after)


def test_any_shape_cannot_become_one_shape() -> None:
    """Callers who sent other ranks would be refused."""
    before = Signature((ANY,), (Y,))
    assert ("input 'x' was FP32 of any shape and is FP32 [-1, 4]",) == signature_changes(
        before, BASE
    )


def test_an_optional_input_that_became_required_breaks_callers() -> None:
    """Who left it out would be refused."""
    before = Signature((), (Y,), (X,))
    assert ("input 'x' was optional and is required",) == signature_changes(before, BASE)


def test_all_differences_are_told_up_to_a_bound() -> None:
    """Twenty are listed, the others counted."""
    before = Signature(tuple(spec(f"x{n}", 1) for n in range(25)), ())
    said = listed(signature_changes(before, Signature((), ())))
    assert said.startswith("input 'x0' is gone; input 'x1' is gone; ")
    assert said.endswith("input 'x19' is gone; 5 more")
