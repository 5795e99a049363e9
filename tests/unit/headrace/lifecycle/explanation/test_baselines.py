"""Baselines of words, samples and references; log-odds; reports of one row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headrace import errors
from headrace.data_profiles.layouts import BinKind, Bins, FieldKind
from headrace.data_profiles.typical_values import typical_value
from headrace.datatype_names import Datatype
from headrace.lifecycle.explanation import (
    Baseline,
    Method,
    Target,
    explain,
    mean_of,
    named_baseline,
    sample_of,
    typical,
)
from headrace.lifecycle.explanation.html_report import html_report
from headrace.lifecycle.explanation.plots import plot
from headrace.state.records import Signature, TensorSpec
from tests.unit.headrace.lifecycle.explanation.nets import network, row, session


def objects(*values: str) -> Any:
    """Texts as inputs have them."""
    return np.array([value.encode() for value in values], dtype=object).reshape(-1, 1)


SAMPLE = {
    "age": np.array([[20], [30], [40]], np.float32),
    "kids": np.array([[0], [2], [2]], np.int64),
    "city": objects("Rome", "Oslo", "Oslo"),
}
HERE = {name: array[:1] for name, array in SAMPLE.items()}


def test_mean_of_categories_is_the_most_frequent() -> None:
    """Numbers have a mean; texts, and whole numbers that are few, have a commonest."""
    found = mean_of(SAMPLE).rows
    assert [30.0, 2, b"Oslo"] == [found[name].reshape(-1)[0] for name in SAMPLE]
    assert [array.dtype for array in SAMPLE.values()] == [each.dtype for each in found.values()]


def test_rows_of_a_sample_are_evenly_over_it() -> None:
    """The first and the last are among them."""
    rows = {"x": np.arange(100, dtype=np.float32)[:, None]}
    assert [0, 33, 66, 99] == sample_of(rows, 4).rows["x"].reshape(-1).tolist()


def test_typical_values_are_taken_by_field() -> None:
    """Fields are named as references name them; one of which nothing is known is an error."""
    values: dict[str, float | str] = {"input age": 33.5, "input kids": "2", "input city": "Oslo"}
    found = typical(HERE, values).rows
    assert [33.5, 2, b"Oslo"] == [found[name].reshape(-1)[0] for name in HERE]
    with pytest.raises(errors.InvalidArgument, match="no typical value of 'input kids'"):
        typical(HERE, {"input age": 1.0})


@pytest.mark.parametrize(
    ("word", "expected"),
    [("nonsense", "is no baseline"), ("mean", "takes rows"), ("reference", "has no reference")],
)
def test_words_that_cannot_be_are_refused(word: str, expected: str) -> None:
    """The message says what the word takes, or what words there are."""
    with pytest.raises(errors.InvalidArgument, match=expected):
        named_baseline(word, HERE)


def test_first_baseline_that_there_is_is_taken() -> None:
    """The reference, then the sample's mean, then zeros."""
    values: dict[str, float | str] = {"input age": 1.0, "input kids": 1.0, "input city": "Rome"}
    assert "reference" == named_baseline("", HERE, sample=SAMPLE, values=values).name
    assert "mean of 3 rows" in named_baseline("", HERE, sample=SAMPLE).name
    assert "zeros" == named_baseline("", HERE).name


@pytest.mark.parametrize(
    ("kind", "bins", "counts", "expected"),
    [
        (FieldKind.NUMBER, Bins(BinKind.EDGES, (0.0, 1.0, 2.0)), {3: 10, 4: 10}, 1.0),
        (FieldKind.NUMBER, Bins(BinKind.EDGES, (0.0, 1.0, 2.0)), {3: 5, 4: 15}, 1 + 1 / 3),
        (FieldKind.NUMBER, Bins(BinKind.EDGES, (0.0, 1.0)), {4: 9}, 1.0),
        (FieldKind.CATEGORY, Bins(BinKind.LABELS, labels=("a", "b")), {2: 1, 3: 5, 4: 9}, "b"),
        (FieldKind.NUMBER, Bins(BinKind.LABELS, labels=("1", "2")), {2: 1, 3: 5}, 2.0),
        (FieldKind.CATEGORY, Bins(BinKind.LABELS, labels=("a",)), {3: 9}, None),
        (FieldKind.NUMBER, Bins(), {40: 9}, None),
        (FieldKind.TEXT, Bins(), {}, ""),
    ],
)
def test_typical_value_of_bins(kind: FieldKind, bins: Bins, counts: Any, expected: Any) -> None:
    """The median, as closely as bins tell it; the commonest category; nothing where nothing is known."""
    found = typical_value(kind, bins, counts)
    assert expected == (pytest.approx(found) if isinstance(found, float) else found)


class Knowing:
    """Knows two cities, as an encoder of categories does, and refuses others."""

    signature = Signature((TensorSpec("city", Datatype.BYTES, (-1, 1)),), ())
    requests = 0

    async def predict(self, inputs: Any) -> dict[str, Any]:
        """Rome is 1."""
        texts = inputs["city"].reshape(-1).tolist()
        if not {*texts} <= {b"Rome", b"Oslo"}:
            raise errors.InvalidArgument("INPUTS_REFUSED", "Unknown Category")
        return {"y": np.array([[float(text == b"Rome")] for text in texts])}


async def test_category_is_replaced_by_the_baseline_s() -> None:
    """One that the model does not know is refused by it, and the caller is told what to take."""
    here = {"city": objects("Rome")}
    found = await explain(Knowing(), here, baseline=Baseline({"city": objects("Oslo")}, "Oslo"))
    assert (1.0,) == found.attribution(Method.SHAPLEY).values
    assert [Method.OCCLUSION, Method.SHAPLEY] == [each.method for each in found.attributions]
    with pytest.raises(errors.FailedPrecondition, match="Unknown Category") as caught:
        await explain(Knowing(), here)
    assert "MASKED_ROWS_REFUSED" == caught.value.reason


async def test_features_that_belong_together_are_one() -> None:
    """A group is there or not as a whole, and the values still add up."""
    groups = {"both": ["x[0]", "x[2]"]}
    found = await explain(session(network(3)), row(1, 2, 3), groups=groups)
    assert ["both", "x[1]"] == [each.name for each in found.features]
    for each in found.attributions[1:]:
        assert sum(each.values) == pytest.approx(found.value - found.baseline_value, abs=0.01)


def test_log_odds_go_on_where_probabilities_end() -> None:
    """Certainty is as far as FP32 can tell it from what is not; other numbers have no log-odds."""
    target = Target("p", scale="probability").in_log_odds()
    found = target.of({"p": np.array([[0.5], [0.9], [1.0]], np.float32)})
    np.testing.assert_allclose(found, [0, np.log(9), 16.118], atol=1e-3)
    with pytest.raises(errors.InvalidArgument, match="no probability"):
        Target("y").in_log_odds()


async def test_report_of_a_row_escapes_what_it_shows() -> None:
    """Names and texts are texts, whatever they hold."""
    names = {"x": ["<script>", "$a$", "c"]}
    found = await explain(session(network(3)), row(1, 2, 3), names=names)
    png = plot(found)
    page = html_report(replace(found, text=None), png)
    assert png.startswith(b"\x89PNG")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
