"""Wrong questions, and models that cannot be asked: what is said, and what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headrace import errors
from headrace.lifecycle.explanation import Baseline, Effort, choose_target, explain
from headrace.lifecycle.predictors import Predictor
from tests.unit.headrace.lifecycle.explanation.nets import logarithm, network, row, session

HERE = row(1, 2, 3)


async def told(predictor: Predictor | None = None, here: Any = HERE, **given: Any) -> str:
    """The reason and the message."""
    with pytest.raises(errors.HeadraceError) as caught:
        await explain(predictor or session(network(3)), here, **given)
    return f"{caught.value.reason}: {caught.value.message}"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"output": "z"}, "there is no output 'z'; there are y"),
        ({"column": 3}, "columns 0 to 0, not 3"),
        ({"column": "cat"}, "no class 'cat'"),
        ({"methods": ["lime"]}, "'lime' is no method; there are occlusion"),
        ({"baseline": Baseline(row(0, 0), "two")}, "rows of [2], and the row is [3]"),
        ({"baseline": Baseline({}, "none")}, "no input 'x'"),
        ({"names": {"x": ["a", "b"]}}, "3 values a row, and 2 names"),
        ({"groups": {"g": ["x[0]", "x[9]"]}}, "group 'g' has ['x[9]']"),
        ({"here": {"x": np.zeros((2, 3), np.float32)}}, "one row is explained, and 2 were given"),
    ],
)
async def test_wrong_questions_are_told_what_there_is(given: Any, expected: str) -> None:
    """The message names what was wrong, and what is there."""
    message = await told(**given)
    assert expected in message
    assert message.startswith("EXPLANATION_INVALID")


def test_effort_has_bounds() -> None:
    """Less than nothing is refused where it is said."""
    with pytest.raises(errors.InvalidArgument, match="steps is 0: take 1 or more"):
        Effort(steps=0)


async def test_answers_that_are_no_numbers_are_not_explained() -> None:
    """The log of nothing is infinite: a baseline that the model knows is asked for."""
    message = await told(session(logarithm(3)))
    assert "ANSWER_NOT_FINITE" in message
    assert "take another baseline" in message
    found = await explain(session(logarithm(3)), HERE, baseline=Baseline(row(1, 1, 1), "ones"))
    assert found.value == pytest.approx(np.log(6))


class Enforcing:
    """A version that refuses what its reference does not know: zeros."""

    def __init__(self) -> None:
        self._inner = session(network(3))
        self.signature = self._inner.signature

    @property
    def requests(self) -> int:
        """Those of the session."""
        return self._inner.requests

    async def predict(self, inputs: Any) -> dict[str, Any]:
        """Refuse zeros, as replicas do."""
        if np.any(inputs["x"] == 0):
            raise errors.InvalidArgument("DATA_OUT_OF_SCHEMA", "x[0] is 0, and 1 to 9 is allowed")
        return await self._inner.predict(inputs)


async def test_version_that_refuses_masked_rows_asks_for_a_baseline_that_it_knows() -> None:
    """Its word is passed on, with what to do about it."""
    message = await told(Enforcing())
    assert "MASKED_ROWS_REFUSED" in message
    assert "1 to 9 is allowed" in message
    found = await explain(Enforcing(), HERE, baseline=Baseline(row(5, 5, 5), "fives"))
    assert 3 == len(found.attributions)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"probabilities": [[0.1, 0.9]], "label": [1]}, ("probabilities", 1, "probability")),
        ({"logits": [[3.0, -1.0]]}, ("logits", 0, "score")),
        ({"y": [[7.5]]}, ("y", 0, "value")),
        ({"y": [[0.2, 0.8]]}, ("y", 1, "probability")),
    ],
)
def test_predicted_class_or_only_value_is_explained(answer: Any, expected: Any) -> None:
    """What is said of its scale is what the numbers are."""
    arrays = {name: np.array(value) for name, value in answer.items()}
    found = choose_target(arrays)
    assert expected == (found.output, found.column, found.scale)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"vector": np.ones((1, 64))}, "say which one to explain"),
        (
            {"a": np.ones((1, 1)), "b": np.ones((1, 1))},
            "name the output to explain: there are a, b",
        ),
        ({"label": np.array([b"cat"], object)}, "name the output to explain: there are label"),
    ],
)
def test_what_is_no_class_has_to_be_named(answer: Any, expected: str) -> None:
    """An embedding has no predicted class, and two outputs are two questions."""
    with pytest.raises(errors.InvalidArgument, match=expected):
        choose_target(answer)


def test_classes_have_names() -> None:
    """A class may be named by its label."""
    answer = {"y": np.array([[0.2, 0.8]])}
    found = choose_target(answer, column="cat", labels=["cat", "dog"])
    assert (0, "probability of class cat in y") == (found.column, found.name)
