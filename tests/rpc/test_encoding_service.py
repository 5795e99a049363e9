"""Vectors and rankings over gRPC, by real encoders: the same as over OpenAI's wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace import errors
from headrace.client import AsyncClient
from tests.language.tiny_encoders import SENTENCES
from tests.rpc.encoder_fixtures import CONTEXT, EMBEDDER, RERANKER, TENSORS, Encoding, encoding
from tests.rpc.test_cli_commands import Shell


@asynccontextmanager
async def clients(folder: Path) -> AsyncIterator[tuple[Encoding, AsyncClient]]:
    """The replica, and a client of its gRPC port."""
    async with (
        encoding(folder) as site,
        AsyncClient(inference=site.replica.grpc_address, timeout_seconds=20) as client,
    ):
        yield site, client


async def test_vectors_are_those_of_the_other_wire(tmp_path: Path) -> None:
    """A row for each text, in float32, from texts or from their tokens; each call counts once."""
    async with clients(tmp_path) as (site, client):
        found = await client.embed(EMBEDDER, SENTENCES)
        tokens = (await client.tokenize(EMBEDDER, SENTENCES[0])).token_ids
        of_tokens = await client.embed(EMBEDDER, [tokens])
        body = {"model": EMBEDDER, "input": list(SENTENCES)}
        _, theirs = await site.post("/v1/embeddings", body)
        saved = tmp_path / "vectors.npy"
        shell = Shell(("--inference", site.replica.grpc_address))
        shown = await shell("embed", EMBEDDER, *SENTENCES[:2], "--save", str(saved))
        counted = site.counted(EMBEDDER)

    expected = np.array([each["embedding"] for each in theirs["data"]], np.float32)
    assert (expected.dtype, expected.shape) == (found.vectors.dtype, found.vectors.shape)
    assert np.allclose(found.vectors, expected, atol=1e-6)
    assert np.allclose(of_tokens.vectors, expected[:1], atol=1e-6)
    assert theirs["usage"]["prompt_tokens"] == found.usage.prompt_tokens
    assert (1, "stable", len(tokens)) == (found.version, found.route, of_tokens.usage.prompt_tokens)
    assert np.allclose(np.load(saved), expected[:2], atol=1e-6)
    assert (0, "embedder version 1 (stable)") == (shown.status, shown.output.splitlines()[0])
    assert (5, {}) == counted


async def test_rankings_are_those_of_the_other_wire(tmp_path: Path) -> None:
    """The best first, as many as were asked for; the command shows the documents."""
    query, documents = SENTENCES[0], list(SENTENCES[1:])
    async with clients(tmp_path) as (site, client):
        found = await client.rerank(RERANKER, query, documents, top_n=3)
        body = {"model": RERANKER, "query": query, "documents": documents}
        _, theirs = await site.post("/v1/rerank", body)
        file = tmp_path / "documents"
        file.write_text("\n".join(documents))
        shell = Shell(("--inference", site.replica.grpc_address, "--json"))
        shown = await shell("rerank", RERANKER, query, f"@{file}", "--top-n", "1")

    best = [(each["index"], each["relevance_score"]) for each in theirs["results"][:3]]
    assert [index for index, _ in best] == [each.index for each in found.results]
    assert np.allclose([score for _, score in best], [each.score for each in found.results])
    assert [documents[best[0][0]]] == [each["document"] for each in shown.document["results"]]


REFUSED: dict[str, tuple[Any, str]] = {
    "no text": (lambda c: c.embed(EMBEDDER, []), "TEXTS_MISSING"),
    "an empty text": (lambda c: c.embed(EMBEDDER, [""]), "TEXT_EMPTY"),
    "a long text": (lambda c: c.embed(EMBEDDER, "cat " * CONTEXT), "CONTEXT_LENGTH_EXCEEDED"),
    "unknown tokens": (lambda c: c.embed(EMBEDDER, [[10**6]]), "TOKEN_UNKNOWN"),
    "both forms": (lambda c: c.embed(EMBEDDER, ["a", [1]]), "PARAMETER_INVALID"),
    "a size": (lambda c: c.embed(EMBEDDER, "a", dimensions=3), "DIMENSIONS_UNSUPPORTED"),
    "no document": (lambda c: c.rerank(RERANKER, "a", []), "TEXTS_MISSING"),
    "a negative top_n": (lambda c: c.rerank(RERANKER, "a", ["b"], top_n=-1), "PARAMETER_INVALID"),
    "another kind": (lambda c: c.rerank(EMBEDDER, "a", ["b"]), "VERSION_KIND"),
    "tensors": (lambda c: c.embed(TENSORS, "a"), "VERSION_KIND"),
    "an answer": (lambda c: c.chat(EMBEDDER, "a"), "VERSION_KIND"),
}


async def test_what_is_wrong_is_refused_by_name(tmp_path: Path) -> None:
    """Each with its reason, and none is counted as answered."""
    async with clients(tmp_path) as (site, client):
        found = {}
        for name, (call, _) in REFUSED.items():
            with pytest.raises(errors.InvalidArgument) as caught:
                await call(client)
            found[name] = caught.value.reason
        cut = await client.embed(EMBEDDER, "cat " * CONTEXT, truncate=True)
        answered, _ = site.counted(EMBEDDER)

    assert found == {name: reason for name, (_, reason) in REFUSED.items()}
    assert (CONTEXT, 1) == (cut.usage.prompt_tokens, answered)
