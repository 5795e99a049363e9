"""What rows of outputs say, in the forms that exporters give them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from headrace_inference.adapters.prediction_reports import PredictionReports
from headrace_inference.domain.sampling.prediction_outputs import outputs_by_model
from headrace_inference.domain.sampling.row_answers import AnswerReader, Output, RowAnswer
from headrace_inference.domain.sampling.rows import SampledRequest, SampledRows
from tests.unit.inference.doubles import FakeClock, version


def read(*outputs: Output, output: str = "") -> Sequence[RowAnswer | None]:
    """What a version that has just been loaded says."""
    return AnswerReader(output).read(outputs)


def rows(*values: object, kind: str = "f4") -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """Rows of an output."""
    return np.array(values, kind)


def test_a_classifier_of_scikit_learn() -> None:
    """Its class, with the probabilities beside it: of two classes the weight of class 1."""
    label = Output("label", rows(0, 1, kind="i8"))
    found = read(label, Output("probabilities", rows([0.75, 0.25], [0.125, 0.875])))
    assert [RowAnswer("0", 0.75, 0.25, "1"), RowAnswer("1", 0.875, 0.875, "1")] == found


def test_texts_as_classes_are_learnt_before_a_score_is_told() -> None:
    """Until the second class was answered nobody knows what its score is of."""
    reader = AnswerReader()
    weights = Output("probabilities", rows([0.75, 0.25]))
    first = reader.read([Output("label", np.array([b"no"], object)), weights])
    assert [RowAnswer("no")] == first
    reader.read([Output("label", np.array(["yes"], object)), Output("p", rows([0.25, 0.75]))])
    again = reader.read([Output("label", np.array([b"no"], object)), weights])
    assert [RowAnswer("no", 0.75, 0.25, "yes")] == again


def test_weights_of_many_classes_with_a_label_file() -> None:
    """The class of most weight by its name; integers of its place without a file."""
    weights = rows([0.25, 0.5, 0.25])
    assert [RowAnswer("dog", 0.5)] == read(Output("y", weights, ["cat", "dog", "owl"]))
    assert [RowAnswer("1", 0.5)] == read(Output("y", weights))


def test_logits_are_classes_where_something_says_so() -> None:
    """A label file or the output's name; other numbers side by side are no answer."""
    logits = rows([2.0, -1.0, 4.0])
    (answer,) = read(Output("logits", logits))
    assert answer is not None
    assert "2" == answer.content
    assert pytest.approx(0.876, abs=1e-3) == answer.confidence
    assert [] == read(Output("embedding", logits))
    assert "2" == next(each.content for each in read(Output("y", logits), output="y") if each)


def test_a_lone_logit_is_of_two_classes_where_a_file_has_two() -> None:
    """Else it is a number."""
    lone = rows([2.0], [-2.0])
    first, second = read(Output("y", lone, ["ham", "spam"]))
    assert first is not None
    assert second is not None
    assert ("spam", "ham", "spam") == (first.content, second.content, first.positive)
    assert pytest.approx(0.881, abs=1e-3) == first.score
    assert pytest.approx(0.119, abs=1e-3) == second.score
    assert [RowAnswer(2.0), RowAnswer(-2.0)] == read(Output("price", lone))


def test_what_is_no_number_is_no_answer() -> None:
    """NaN and infinity are left out; booleans are classes."""
    assert [None, RowAnswer(1.5), None] == read(Output("y", rows(np.nan, 1.5, np.inf)))
    assert [RowAnswer("true"), RowAnswer("false")] == read(Output("y", np.array([True, False])))
    assert [None] == read(Output("prob", rows([np.nan, np.nan, np.nan])))


def test_a_setting_names_the_output() -> None:
    """Where the first one is not the answer."""
    outputs = (Output("price", rows(3.0)), Output("rank", rows(7, kind="i8")))
    assert [RowAnswer(3.0)] == read(*outputs)
    assert [RowAnswer("7")] == read(*outputs, output="rank")
    assert {"digits": "rank"} == outputs_by_model(["digits=rank"])
    with pytest.raises(ValueError, match="MODEL=OUTPUT"):
        outputs_by_model(["digits"])


def test_so_many_answers_are_told_in_a_minute() -> None:
    """What comes beyond is counted as dropped, as is a row whose request's id is too long."""
    clock = FakeClock()
    reports = PredictionReports(clock, 0.5, 1.0, {})
    many = [SampledRequest(f"order-{number}", slices=("header a=b",)) for number in range(250)]
    assert 60.0 == reports.room()
    reports.take(SampledRows(version(), 7, many, range(250), (), (None, np.arange(250))))
    (told,) = reports.told()
    assert (60, 190, 0.5) == (len(told.predictions), told.dropped, told.share)
    first = told.predictions[1]
    assert ("order-1", 1, "1", ["header a=b"]) == (
        first.request_id,
        first.row,
        first.label,
        list(first.slices),
    )
    clock.advance(5.0)
    assert 5.0 == reports.room()
    long = [SampledRequest("x" * 257), SampledRequest("y")]
    reports.take(SampledRows(version(), 7, long, (0, 1), (), (None, np.arange(2))))
    (told,) = reports.told()
    assert (["y"], 1) == ([each.request_id for each in told.predictions], told.dropped)
    assert [] == list(reports.told())
