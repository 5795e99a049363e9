"""Prompts of language models: how probable an answer is, with and without words of its prompt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from headrace.datatype_names import Datatype
from headrace.lifecycle.predictors.predictor import Array, Tensors
from headrace.state.records import Signature, TensorSpec

PROMPT, LOG_PROBABILITY = "prompt", "log-probability of the answer"
_IN_FLIGHT = 8


class TokenLogprob(Protocol):
    """A token of an answer."""

    @property
    def logprob(self) -> float:
        """Its natural log-probability."""


class Scored(Protocol):
    """How probable continuations are."""

    @property
    def results(self) -> Sequence[Sequence[TokenLogprob]]:
        """The tokens of each."""


class ScoringClient(Protocol):
    """Tells how probable continuations of prompts are, as the client of the suite does."""

    async def score(
        self,
        model: str,
        prompt: str,
        continuations: Iterable[str],
        *,
        version: int | str = "",
        timeout_seconds: float | None = None,
    ) -> Scored:
        """The scores of each token of each continuation."""


class AnswerPredictor:
    """Answers each prompt with the log-probability of one answer to it: a request each."""

    signature = Signature(
        (TensorSpec(PROMPT, Datatype.BYTES, (-1,)),),
        (TensorSpec(LOG_PROBABILITY, Datatype.FP64, (-1,)),),
    )

    def __init__(
        self,
        client: ScoringClient,
        model: str,
        version: int,
        answer: str,
        *,
        timeout_seconds: float | None = None,
        on_rows: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.requests = 0
        self._client = client
        self._of = (model, version, answer)
        self._timeout_seconds = timeout_seconds
        self._on_rows = on_rows
        self._room = asyncio.Semaphore(_IN_FLIGHT)

    async def predict(self, inputs: Tensors) -> dict[str, Array]:
        """The log-probabilities, in the order of the prompts. Raises what the client raises."""
        prompts = [text.decode() for text in inputs[PROMPT].reshape(-1).tolist()]
        found = await asyncio.gather(*map(self._score, prompts))
        return {LOG_PROBABILITY: np.array(found)}

    async def _score(self, prompt: str) -> float:
        model, version, answer = self._of
        async with self._room:
            self.requests += 1
            found = await self._client.score(
                model,
                prompt or " ",  # one without any token is refused
                [answer],
                version=version,
                timeout_seconds=self._timeout_seconds,
            )
        self._on_rows(1)
        return float(sum(token.logprob for token in found.results[0]))


def prompt_row(prompt: str) -> dict[str, Any]:
    """A prompt as a row."""
    row = np.empty(1, dtype=object)
    row[0] = prompt.encode()
    return {PROMPT: row}
