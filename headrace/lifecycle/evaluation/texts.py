"""Evaluates versions that generate text: answers beside reference texts, and how probable these are."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from headrace import errors
from headrace.client import AsyncClient, Version
from headrace.lifecycle.evaluation.data import EvaluationData, signed
from headrace.lifecycle.evaluation.data_checks import check_data
from headrace.lifecycle.evaluation.evaluation import Evaluation
from headrace.lifecycle.evaluation.judging import Judged
from headrace.lifecycle.evaluation.measures.means import MeanMeasure, TextScoreMeasure
from headrace.lifecycle.evaluation.measures.measure import Together
from headrace.lifecycle.evaluation.measuring import measured
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.evaluation.targets import known_targets
from headrace.lifecycle.evaluation.tasks import Task, impossible
from headrace.lifecycle.tables import Rows

AT_A_TIME = 8
"""Prompts that are worked on together: versions batch them."""
MAX_TOKENS = 256
"""The most tokens of an answer."""
_PROMPT_COLUMNS = ("messages", "prompt", "question", "input", "text")
_EXAMPLES = 10
_TIMES_LONGER, _ROOM_TOKENS = 2, 32
"""An answer may be twice as long as the reference, and so many tokens more: enough for a sentence."""


class _Answered(NamedTuple):
    text: str
    logprob: float
    tokens: int


async def evaluate_texts(
    client: AsyncClient,
    version: Version,
    data: EvaluationData,
    question: Question,
    on_rows: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Have each prompt answered with the most probable tokens, and each reference text scored.

    The prompt is a column `messages` (turns of a conversation) or `prompt`, or the one that the question
    names as input `prompt`. It takes two calls for each row.
    """
    began = time.monotonic()
    if len(question.target) != 1 or question.target[0] not in data.rows.columns:
        raise impossible(f"there is no column {question.target[0]!r} of reference texts")
    target = question.target[0]
    known = known_targets(data.rows.columns[target])
    if not known.any():
        raise impossible(f"no row has a value in {target!r}")
    rows = data.rows.take(known)
    prompts = _prompts(rows, question, can_chat=_can_chat(version))
    references = [str(value) for value in rows.columns[target].tolist()]
    answers = await _all(client, version, prompts, references, on_rows)
    judged = _judged(references, answers)
    metrics, resampling, notes = measured(judged, rows, question)
    return Evaluation(
        version.model,
        version.number,
        Task.GENERATION,
        judged.how,
        target,
        data.name,
        data.digest,
        len(rows),
        check_data(data.rows, target, known),
        signed(metrics, data),
        undefined=judged.measure.undefined(),
        notes=tuple(notes),
        examples=_examples(prompts, references, answers),
        requests=2 * len(rows),
        seconds=time.monotonic() - began,
        seed=question.seed,
        resamples=resampling.draws,
        judged=judged,
        resampling=resampling,
    )


def normalised(text: str) -> str:
    """A text in one case and one form, without punctuation, its words one space apart."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    kept = (" " if unicodedata.category(char).startswith("P") else char for char in plain)
    return " ".join("".join(kept).split())


def _judged(references: Sequence[str], answers: Sequence[_Answered]) -> Judged:
    pairs = list(zip(references, answers, strict=True))
    matches = {
        "exact_match": [answer.text.strip() == text.strip() for text, answer in pairs],
        "normalised_match": [normalised(answer.text) == normalised(text) for text, answer in pairs],
        "prefix_match": [
            normalised(answer.text).startswith(normalised(text)) for text, answer in pairs
        ],
        "contains_match": [
            f" {normalised(text)} " in f" {normalised(answer.text)} " for text, answer in pairs
        ],
    }
    means = MeanMeasure({name: np.array(of, dtype=np.float64) for name, of in matches.items()})
    scores = TextScoreMeasure(
        np.array([each.logprob for each in answers]),
        np.array([each.tokens for each in answers], dtype=np.float64),
    )
    how = "answers at temperature 0, and the log-probabilities of the reference texts' tokens"
    return Judged(Task.GENERATION, how, Together([means, scores]))


def _can_chat(version: Version) -> bool:
    return version.language is not None and "chat" in version.language.capabilities


def _prompts(rows: Rows, question: Question, *, can_chat: bool) -> list[str | list[dict[str, str]]]:
    """A text or the turns of each row. Raises InvalidArgument (EVALUATION_IMPOSSIBLE)."""
    chosen = list((question.inputs or {}).get("prompt", ()))
    others = [name for name in _PROMPT_COLUMNS if name in rows.columns]
    left = [name for name in others if name not in question.target]
    if not (chosen or left):
        raise impossible(
            "no column is a prompt: name one `prompt` or `messages`, or say --input prompt=COLUMN; there "
            "are " + ", ".join(map(repr, rows.columns))
        )
    name = (chosen or left)[0]
    if name not in rows.columns:
        raise impossible(f"there is no column {name!r}")
    prompts = []
    for place, value in enumerate(rows.columns[name].tolist()):
        if not isinstance(value, str | list):
            raise impossible(f"column {name!r} has no prompt in row {place + 1}")
        if isinstance(value, list) and not can_chat:
            raise impossible(f"column {name!r} has conversations, and the version cannot chat")
        prompts.append(value)
    return prompts


async def _all(
    client: AsyncClient,
    version: Version,
    prompts: Sequence[Any],
    references: Sequence[str],
    on_rows: Callable[[int], None],
) -> list[_Answered]:
    places = asyncio.Semaphore(AT_A_TIME)

    async def one(prompt: Any, reference: str) -> _Answered:
        async with places:
            answer = await _answered(client, version, prompt, reference)
        on_rows(1)
        return answer

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(one(*pair)) for pair in zip(prompts, references, strict=True)
            ]
    except* errors.HeadraceError as failures:
        raise _first(failures) from None
    return [task.result() for task in tasks]


async def _answered(
    client: AsyncClient, version: Version, prompt: Any, reference: str
) -> _Answered:
    scored = await client.score(
        version.model, prompt, [reference], version=version.number, add_special_tokens=True
    )
    scores = scored.results[0]
    most = min(MAX_TOKENS, _TIMES_LONGER * len(scores) + _ROOM_TOKENS)
    ask = client.chat if isinstance(prompt, list) else client.generate
    answer = await ask(
        version.model, prompt, version=version.number, temperature=0.0, max_tokens=most
    )
    return _Answered(answer.text, sum(each.logprob for each in scores), len(scores))


def _examples(
    prompts: Sequence[Any], references: Sequence[str], answers: Sequence[_Answered]
) -> tuple[Mapping[str, Any], ...]:
    """The first rows: what was asked, wanted and answered."""
    some = list(zip(prompts, references, answers, strict=True))[:_EXAMPLES]
    return tuple(
        {"prompt": prompt, "reference": wanted, "answer": answer.text}
        for prompt, wanted, answer in some
    )


def _first(failures: BaseExceptionGroup[errors.HeadraceError]) -> errors.HeadraceError:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
