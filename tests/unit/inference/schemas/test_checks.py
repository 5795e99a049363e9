"""What was learnt of fields, compared with the inputs of runs of any datatype and shape."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from headrace.data_profiles.layouts import FieldKind, FieldLayout, Layout, Place
from headrace.data_profiles.profiles import Profile
from headrace.data_profiles.references import FieldSchema, Reference, Source
from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.state.records import Batching, Signature, TensorSpec
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.scheduling.flagged_routes import FlaggedRoute, plain_route
from headrace_inference.domain.scheduling.watchdog import RunWatchdog
from headrace_inference.domain.schemas.checks import SchemaChecks, checks_of
from tests.unit.inference.doubles import version
from tests.unit.inference.versions.test_streamed_responses import (
    CountingRunner,
    PartsSink,
    request,
    streaming,
)

AGE = FieldSchema(18.0, 90.0)
COLOUR = FieldSchema(categories=("red", "green"))
GRADE = FieldSchema(categories=("1", "2.5"))
PERHAPS = FieldSchema(0.0, 1.0, missing_rate=0.2)


def checks(
    schema: FieldSchema,
    columns: tuple[int, ...] = (-1,),
    word: str = "reject",
    shape: tuple[int, ...] = (-1,),
) -> SchemaChecks:
    """What is enforced of these columns of x, all of which have this schema."""
    fields = tuple(
        FieldLayout(f"x[{at}]", Place.INPUT, FieldKind.NUMBER, "x", at) for at in columns
    )
    reference = Reference(
        Source.SAMPLES, Layout(fields), Profile(), {field.name: schema for field in fields}
    )
    signature = Signature((TensorSpec("x", Datatype.FP32, shape),), ())
    made = checks_of(
        reference,
        {field.name: word for field in fields},
        replace(version(batching=Batching()), signature=signature),
    )
    assert made is not None
    return made


def differing(made: SchemaChecks, array: npt.NDArray[Any]) -> list[int]:
    """The rows that differ."""
    return [each.row for each in made.violations([array])]


@pytest.mark.parametrize(
    "datatype",
    [each for each in Datatype if each not in (Datatype.BYTES, Datatype.BOOL, Datatype.INT8)],
)
def test_ranges_hold_for_numbers_of_all_datatypes(datatype: Datatype) -> None:
    """Both ends belong to them."""
    values = np.array([18, 90, 17, 91, 50]).astype(NUMPY_DTYPES[datatype])
    assert [2, 3] == differing(checks(AGE), values)


def test_truth_values_have_categories() -> None:
    """They are 0 and 1."""
    only = FieldSchema(categories=("1",))
    assert [1] == differing(checks(only), np.array([True, False]))


@pytest.mark.parametrize(
    ("schema", "values", "rows"),
    [
        (AGE, [np.nan, np.inf, -np.inf, 20], [0, 1, 2]),
        (PERHAPS, [np.nan, np.inf, 2, 0.5], [1, 2]),
        (FieldSchema(), [np.nan, np.inf, 1e300, -1e300], [0]),
        (FieldSchema(missing_rate=1.0), [np.nan, 1], []),
        (FieldSchema(lowest=0.0), [np.inf, -1, 5], [1]),
        (GRADE, [1, 2.5, 2, np.nan, np.inf], [2, 3, 4]),
    ],
)
def test_missing_and_infinite_numbers(
    schema: FieldSchema, values: list[float], rows: list[int]
) -> None:
    """NaN may be where one was in the sample; infinity is outside of every end that there is."""
    assert rows == sorted(set(differing(checks(schema), np.array(values))))


@pytest.mark.parametrize("kind", [object, str, bytes])
def test_texts_have_categories(kind: type) -> None:
    """As texts and as bytes; an empty one is missing."""
    values = np.array(["red", "blue", "", "green"]).astype(kind if kind is not bytes else "S")
    assert [1, 2] == differing(checks(COLOUR), values)
    perhaps = FieldSchema(categories=("red",), missing_rate=0.5)
    assert [1, 3] == differing(checks(perhaps), values)
    assert [2] == differing(checks(FieldSchema()), values)


def test_columns_are_told_apart() -> None:
    """Whichever of them are enforced, in whatever order."""
    rows = np.array([[1.0, 20, 3], [1, 2, 20], [20, 20, 20]])
    made = checks(AGE, (2, 1))
    found = {(each.row, each.check.name, each.value) for each in made.violations([rows])}
    assert {(0, "x[2]", "3"), (1, "x[1]", "2")} == found
    assert [0, 0, 0, 1, 1, 1] == sorted(differing(checks(AGE, (0, 1, 2)), np.ones((2, 3))))


def test_rows_are_those_of_the_signature() -> None:
    """Of a version without batches, too, where the first dimension is free; else a tensor is a row."""
    three = np.array([[20.0], [3], [4]])
    assert [1, 2] == differing(checks(AGE, shape=(-1, 1)), three)
    assert [0] == differing(checks(AGE, (1,), shape=(3, 1)), three)
    assert [] == differing(checks(AGE, (0,), shape=(3, 1)), three)


def test_inputs_of_other_shapes_are_let_in() -> None:
    """What has fewer columns, or nothing, is not what was learnt from."""
    assert [] == differing(checks(AGE, (5,)), np.ones((2, 3)))
    assert [] == differing(checks(AGE), np.ones((0, 1)))
    assert [] == differing(checks(AGE), np.ones((2, 0)))
    assert [] == checks(AGE).violations([None])
    assert [] == checks(AGE).violations([])


def test_what_is_told_is_bounded() -> None:
    """Long texts are cut, and of many categories some are named."""
    many = FieldSchema(categories=tuple(f"c{n}" for n in range(30)))
    (found,) = checks(many).violations([np.array(["x" * 5000], object)])
    assert len(found.value) < 80
    assert found.check.allowed().endswith("'c9' and 20 more")


def test_a_flagged_route_equals_no_other_and_says_its_own() -> None:
    """Answers that are kept by routes differ by it."""
    flagged = FlaggedRoute("stable", "input x")
    assert flagged not in {"stable": 1, FlaggedRoute("stable", "input y"): 2}
    assert ("stable", "canary") == (plain_route(flagged), plain_route("canary"))


def test_streams_of_responses_pass_the_door_too() -> None:
    """One request is refused before its run, another flagged, and each counts once."""
    sink = PartsSink()
    with streaming(CountingRunner(), RunWatchdog(SYSTEM_CLOCK)) as loaded:
        loaded.door.checks = checks(FieldSchema(0.0, 5.0), (0,))
        loaded.scheduler.enqueue([request(loaded, sink, "a", 2), request(loaded, sink, "b", 9)])
        sink.wait(2)
        loaded.door.checks = checks(FieldSchema(0.0, 5.0), (0,), "flag")
        flagged = request(loaded, sink, "c", 6)
        loaded.scheduler.enqueue([flagged])
        sink.wait(1)
        totals = loaded.statistics.totals()
    assert ([2.0, 1.0, "end"], "DATA_OUT_OF_SCHEMA") == (sink.of("a"), sink.errors["b"].reason)
    assert isinstance(flagged.route, FlaggedRoute)
    assert ({"x[0]": 2}, 2) == (totals.violations, totals.successes)


def test_what_differs_is_told_once_for_each_request_and_field() -> None:
    """With how many rows did: a request in which all values differ costs no list of them."""
    rows = np.full((50_000, 2), 20.0)
    rows[:, 1] = 3
    rows[[0, 4, 5], 0] = 3
    made = checks(AGE, (0, 1))
    found = made.violations([rows], [0, 4, 4, 6])
    told = [(each.row, each.check.name, each.rows) for each in found]
    assert [(0, "x[0]", 1), (0, "x[1]", 4), (4, "x[0]", 2), (4, "x[1]", 49_996)] == told
    one_by_one = made.violations([rows[:8]])
    assert 8 + 3 == len(one_by_one) == sum(one.rows for one in made.violations([rows[:8]], [0, 8]))
