"""Words of a prompt, and how probable they make an answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from headrace.lifecycle.explanation import explain
from headrace.lifecycle.explanation.prompts import (
    LOG_PROBABILITY,
    PROMPT,
    AnswerPredictor,
    prompt_row,
)


@dataclass(frozen=True)
class Token:
    logprob: float


@dataclass(frozen=True)
class Scored:
    results: Sequence[Sequence[Token]]


class Scorer:
    """Finds an answer of two tokens more probable where the prompt names a word of it."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    async def score(
        self, model: str, prompt: str, continuations: Iterable[str], **_: Any
    ) -> Scored:
        """Minus 4, and 3 more for France."""
        assert ("m", [" Paris"]) == (model, [*continuations])
        assert prompt, "a prompt without any token is refused"
        self.prompts.append(prompt)
        return Scored([[Token(-3.0 + 3 * ("France" in prompt)), Token(-1.0)]])


async def test_words_of_a_prompt_get_what_they_add_to_the_answer() -> None:
    """Each coalition is a request of its own, and the log-probabilities of all tokens are summed."""
    scorer = Scorer()
    predictor = AnswerPredictor(scorer, "m", 1, " Paris")
    found = await explain(
        predictor,
        prompt_row("The capital of France is"),
        methods=["occlusion"],
        output=LOG_PROBABILITY,
        text=PROMPT,
    )
    assert (0, 0, 0, 3, 0) == found.attribution("occlusion").values
    assert (-1.0, -4.0) == (found.value, found.baseline_value)
    assert found.requests == len(scorer.prompts) == found.rows
    assert "The capital of is" in scorer.prompts
    assert found.target.name == LOG_PROBABILITY
    assert pytest.approx(3) == found.value - found.baseline_value
