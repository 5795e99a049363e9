"""Versions that embed or rerank texts are evaluated as rankings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from headrace.client import AsyncClient
from headrace.errors import InvalidArgument
from headrace.lifecycle.evaluation import Question, Task, evaluate_rows, read_data
from headrace.lifecycle.evaluation.text_rankings import TEXTS_AT_A_TIME, TextRanker, ranking_of
from headrace.state.language_records import VersionKind
from tests.rpc.encoder_fixtures import EMBEDDER, RERANKER, encoding

QUERIES = ("the river runs", "an old house")
DOCUMENTS = tuple(f"{word} {number}" for word in ("river", "house") for number in range(20))


@asynccontextmanager
async def encoders(folder: Path) -> AsyncIterator[AsyncClient]:
    """A client of a replica that embeds and reranks."""
    async with (
        encoding(folder) as site,
        AsyncClient(inference=site.replica.grpc_address) as made,
    ):
        yield made


async def test_scores_are_cosines_of_vectors(tmp_path: Path) -> None:
    """Each text is embedded once, and what is best for a query by its vectors is first."""
    async with encoders(tmp_path) as client:
        await check_cosines(client)


async def check_cosines(client: AsyncClient) -> None:
    ranker = TextRanker(client, EMBEDDER, 1, VersionKind.EMBEDDING)
    pairs = [(query, document) for query in QUERIES for document in DOCUMENTS]
    vectors = (await client.embed(EMBEDDER, [*QUERIES, *DOCUMENTS])).vectors
    cosines = (vectors[:2] @ vectors[2:].T).reshape(-1)
    by_query = cosines.reshape(2, -1)
    relevant = by_query >= by_query.max(axis=1, keepdims=True) - 1e-5  # words may be alike
    assert not relevant.all()
    columns = {
        "question": [query for query, _ in pairs],
        "document": [document for _, document in pairs],
        "relevant": relevant.reshape(-1).astype(float),
    }
    asked = Question(
        ("relevant",), {"query": ("question",)}, task=Task.RANKING, group_by="question"
    )
    found = await evaluate_rows(ranker, read_data(columns), asked)
    given = {name: np.array(columns[of], dtype=object) for name, of in COLUMNS.items()}
    scores = (await ranker.predict(given))["score"]
    assert cosines == pytest.approx(scores, abs=1e-5)
    assert -(-42 // TEXTS_AT_A_TIME) * 2 == ranker.requests
    values = {each.name: each.value for each in found.metrics}
    assert (2, 1.0, 1.0) == (found.rows // len(DOCUMENTS), values["mrr"], values["ndcg_at_10"])


COLUMNS = {"query": "question", "document": "document"}


async def test_scores_are_those_of_a_reranker(tmp_path: Path) -> None:
    """Rows of several queries, mixed, and more of one than a request takes."""
    async with encoders(tmp_path) as client:
        await check_reranked(client)


async def check_reranked(client: AsyncClient) -> None:
    ranker = TextRanker(client, RERANKER, 1, VersionKind.RERANK)
    pairs = [(query, document) for document in DOCUMENTS for query in QUERIES]
    given = {
        "query": np.array([query.encode() for query, _ in pairs], dtype=object),
        "document": np.array([document.encode() for _, document in pairs], dtype=object),
    }
    scores = (await ranker.predict(given))["score"]
    for place, query in enumerate(QUERIES):
        found = await client.rerank(RERANKER, query, DOCUMENTS)
        wanted = {each.index: each.score for each in found.results}
        assert [wanted[n] for n in range(40)] == pytest.approx(scores[place::2].tolist(), abs=1e-5)


async def test_texts_are_ranked_and_nothing_else() -> None:
    """Each query's documents, unless other rows belong together; no task of classes."""
    kind = VersionKind.RERANK
    assert "query" == ranking_of(Question(("relevant",)), "r", kind).group_by
    named = Question(("relevant",), {"query": ("question",)})
    assert "question" == ranking_of(named, "r", kind).group_by
    with pytest.raises(InvalidArgument, match="its answers are a ranking, no task 'binary'"):
        ranking_of(Question(("relevant",), task=Task.BINARY), "r", kind)
