"""Scores documents for queries by versions that embed or rerank texts, as a predictor of rows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from headrace.client import AsyncClient
from headrace.datatypes import Datatype
from headrace.lifecycle.evaluation.questions import Question
from headrace.lifecycle.evaluation.tasks import Task, impossible
from headrace.lifecycle.predictors.predictor import Array, Tensors
from headrace.state.language_records import VersionKind
from headrace.state.records import Signature, TensorSpec

Part = TypeVar("Part")
Found = TypeVar("Found")
AT_A_TIME = 4
"""Requests that are worked on together: versions batch them."""
TEXTS_AT_A_TIME = 32
QUERY, DOCUMENT, SCORE = "query", "document", "score"


class TextRanker:
    """The score of each row's document for its query: the cosine of their vectors, or the reranker's.

    Texts over the context length are cut.
    """

    def __init__(self, client: AsyncClient, model: str, version: int, kind: VersionKind) -> None:
        self._client, self._model, self._version, self._kind = client, model, version, kind
        self.requests = 0
        self.signature = Signature(
            (TensorSpec(QUERY, Datatype.BYTES, (-1,)), TensorSpec(DOCUMENT, Datatype.BYTES, (-1,))),
            (TensorSpec(SCORE, Datatype.FP32, (-1,)),),
        )

    async def predict(self, inputs: Tensors) -> dict[str, Array]:
        """The scores of rows. Raises HeadraceError."""
        queries, documents = _texts(inputs[QUERY]), _texts(inputs[DOCUMENT])
        embeds = self._kind is VersionKind.EMBEDDING
        scores = await (self._cosines if embeds else self._reranked)(queries, documents)
        return {SCORE: np.asarray(scores, dtype=np.float32)}

    async def _cosines(self, queries: Sequence[str], documents: Sequence[str]) -> Array:
        texts = list(dict.fromkeys((*queries, *documents)))
        parts = [
            texts[start : start + TEXTS_AT_A_TIME]
            for start in range(0, len(texts), TEXTS_AT_A_TIME)
        ]
        vectors = np.concatenate(await self._all(self._embedded, parts)).astype(np.float64)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.where(lengths > 0, lengths, 1)
        place = {text: number for number, text in enumerate(texts)}
        ours = vectors[[place[text] for text in queries]]
        theirs = vectors[[place[text] for text in documents]]
        return np.asarray((ours * theirs).sum(axis=1))

    async def _embedded(self, texts: Sequence[str]) -> Array:
        found = await self._client.embed(self._model, texts, version=self._version, truncate=True)
        return found.vectors

    async def _reranked(self, queries: Sequence[str], documents: Sequence[str]) -> Array:
        of_query: dict[str, list[int]] = {}
        for place, query in enumerate(queries):
            of_query.setdefault(query, []).append(place)
        parts = [
            (query, places[start : start + TEXTS_AT_A_TIME])
            for query, places in of_query.items()
            for start in range(0, len(places), TEXTS_AT_A_TIME)
        ]

        async def ranked(part: tuple[str, list[int]]) -> Mapping[int, float]:
            query, places = part
            some = [documents[place] for place in places]
            found = await self._client.rerank(
                self._model, query, some, version=self._version, truncate=True
            )
            return {places[each.index]: each.score for each in found.results}

        scores = np.zeros(len(queries))
        for found in await self._all(ranked, parts):
            for place, score in found.items():
                scores[place] = score
        return scores

    async def _all(
        self, ask: Callable[[Part], Awaitable[Found]], parts: Iterable[Part]
    ) -> list[Found]:
        """What is answered to all parts, some of them at a time."""
        free = asyncio.Semaphore(AT_A_TIME)

        async def one(part: Part) -> Found:
            async with free:
                self.requests += 1
                return await ask(part)

        tasks = [asyncio.ensure_future(one(part)) for part in parts]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()


def ranking_of(question: Question, version: str, kind: VersionKind) -> Question:
    """The question as a ranking of each query's documents. Raises InvalidArgument for another task."""
    if question.task not in (None, Task.RANKING):
        raise impossible(
            f"{version} is of kind '{kind}', and its answers are a ranking, no task '{question.task}'"
        )
    query = tuple((question.inputs or {}).get(QUERY, ())) or (QUERY,)
    return replace(question, task=Task.RANKING, group_by=question.group_by or query[0])


def _texts(column: Array) -> list[str]:
    return [
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        for value in column.reshape(-1).tolist()
    ]
