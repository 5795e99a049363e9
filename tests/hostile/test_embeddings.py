"""`/v1/embeddings` and `/v1/rerank`: what clients rely on, and what is refused with which status."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pytest

from headrace_inference.domain.ingress.language_calls import CallFacts
from tests.language.tiny_encoders import SENTENCES, SHAPE
from tests.rpc.encoder_fixtures import EMBEDDER, RERANKER, TENSORS, Encoding, encoding
from tests.rpc.registry_fixtures import eventually

EMBEDDINGS = "/v1/embeddings"
RERANK = "/v1/rerank"
LONG = " ".join(SENTENCES * 3)


async def test_the_official_client_embeds(tmp_path: Path) -> None:
    """A text, a list, tokens and lists of tokens; base64 and floats are the same numbers."""
    async with encoding(tmp_path) as replica:
        embed = replica.client.embeddings.create
        one = await embed(model=EMBEDDER, input=SENTENCES[0])
        many = await embed(model=EMBEDDER, input=list(SENTENCES))
        floats = await embed(model=EMBEDDER, input=list(SENTENCES), encoding_format="float")
        tokens = await embed(model=EMBEDDER, input=[[2, 5, 6, 3], [2, 7, 3]])
        token_list = await embed(model=EMBEDDER, input=[2, 5, 6, 3])
        assert replica.counted(EMBEDDER) == (5, {})
        counts = replica.replica.ingress.book.of(EMBEDDER, 1).generation.totals()
        asked = (one, many, floats, tokens, token_list)
        assert counts["stable"].prompt_tokens == sum(each.usage.prompt_tokens for each in asked)
    assert [item.index for item in many.data] == list(range(len(SENTENCES)))
    assert many.data[0].embedding == one.data[0].embedding
    assert [item.embedding for item in many.data] == [item.embedding for item in floats.data]
    assert tokens.data[0].embedding == token_list.data[0].embedding
    assert np.linalg.norm(one.data[0].embedding) == pytest.approx(1.0, abs=1e-6)
    assert (many.model, many.object, many.data[0].object) == (EMBEDDER, "list", "embedding")
    assert (tokens.usage.prompt_tokens, tokens.usage.total_tokens) == (7, 7)


async def test_base64_is_little_endian_float32(tmp_path: Path) -> None:
    """It is what the npm client asks for unless told otherwise."""
    body = {"model": EMBEDDER, "input": "the cat"}
    async with encoding(tmp_path) as replica:
        _, floats = await replica.post(EMBEDDINGS, body)
        status, packed = await replica.post(EMBEDDINGS, body | {"encoding_format": "base64"})
    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert status == 200
    assert np.frombuffer(raw, "<f4").tolist() == floats["data"][0]["embedding"]
    assert len(raw) == 4 * SHAPE.hidden


_ASKED: dict[str, Any] = {"model": EMBEDDER, "input": "a"}
REFUSED: list[tuple[dict[str, Any] | bytes, int, str, str | None]] = [
    ({"input": "a"}, 400, "PARAMETER_INVALID", "model"),
    ({"model": EMBEDDER}, 400, "PARAMETER_INVALID", "input"),
    ({"model": EMBEDDER, "input": None}, 400, "PARAMETER_INVALID", "input"),
    ({"model": EMBEDDER, "input": ""}, 400, "TEXT_EMPTY", "input[0]"),
    ({"model": EMBEDDER, "input": []}, 400, "TEXTS_MISSING", None),
    ({"model": EMBEDDER, "input": ["a", ""]}, 400, "TEXT_EMPTY", "input[1]"),
    ({"model": EMBEDDER, "input": [[]]}, 400, "TEXT_EMPTY", "input[0]"),
    ({"model": EMBEDDER, "input": ["a", 1]}, 400, "PARAMETER_INVALID", "input[0]"),
    ({"model": EMBEDDER, "input": [1, "a"]}, 400, "PARAMETER_INVALID", "input[0]"),
    ({"model": EMBEDDER, "input": [True]}, 400, "PARAMETER_INVALID", "input[0]"),
    ({"model": EMBEDDER, "input": [[1, 2.5]]}, 400, "PARAMETER_INVALID", "input[0]"),
    ({"model": EMBEDDER, "input": [None]}, 400, "PARAMETER_INVALID", "input[0]"),
    ({"model": EMBEDDER, "input": {"text": "a"}}, 400, "PARAMETER_INVALID", "input"),
    ({"model": EMBEDDER, "input": 7}, 400, "PARAMETER_INVALID", "input"),
    ({"model": EMBEDDER, "input": ["a"] * 2049}, 400, "TOO_MANY_TEXTS", None),
    ({"model": EMBEDDER, "input": ["a", LONG]}, 400, "CONTEXT_LENGTH_EXCEEDED", "input[1]"),
    ({"model": EMBEDDER, "input": [5] * 49}, 400, "CONTEXT_LENGTH_EXCEEDED", "input[0]"),
    ({"model": EMBEDDER, "input": [100277]}, 400, "TOKEN_UNKNOWN", None),
    ({"model": EMBEDDER, "input": [[1], [-1]]}, 400, "TOKEN_UNKNOWN", None),
    ({"model": EMBEDDER, "input": [2**70]}, 400, "TOKEN_UNKNOWN", None),
    (_ASKED | {"encoding_format": "int8"}, 400, "PARAMETER_INVALID", "encoding_format"),
    (_ASKED | {"encoding_format": 1}, 400, "PARAMETER_INVALID", "encoding_format"),
    (_ASKED | {"dimensions": 8}, 400, "DIMENSIONS_UNSUPPORTED", None),
    (_ASKED | {"dimensions": 0}, 400, "DIMENSIONS_UNSUPPORTED", None),
    (_ASKED | {"dimensions": "8"}, 400, "PARAMETER_INVALID", "dimensions"),
    (_ASKED | {"truncate_prompt_tokens": 0}, 400, "PARAMETER_INVALID", "truncate_prompt_tokens"),
    (_ASKED | {"truncate_prompt_tokens": True}, 400, "PARAMETER_INVALID", "truncate_prompt_tokens"),
    (_ASKED | {"input_type": "query"}, 400, "OPTION_UNSUPPORTED", "input_type"),
    (_ASKED | {"messages": []}, 400, "OPTION_UNSUPPORTED", "messages"),
    (_ASKED | {"user": 3}, 400, "PARAMETER_INVALID", "user"),
    (_ASKED | {"model": RERANKER}, 400, "VERSION_KIND", None),
    (_ASKED | {"model": TENSORS}, 400, "VERSION_KIND", None),
    (_ASKED | {"model": "nobody"}, 404, "MODEL_NOT_FOUND", None),
    (_ASKED | {"model": f"{EMBEDDER}@nobody"}, 404, "ALIAS_NOT_FOUND", None),
    (_ASKED | {"model": f"{EMBEDDER}/7"}, 404, "VERSION_NOT_FOUND", None),
    (b'{"model": "embedder", "input": "\\ud800"}', 400, "MALFORMED_JSON", None),
    (b'{"model": "embedder", "input": NaN}', 400, "MALFORMED_JSON", None),
    (b'{"model": "embedder", "input": ' + b"[" * 100_000, 400, "MALFORMED_JSON", None),
    (b"", 400, "MALFORMED_JSON", None),
    (b"[]", 400, "MALFORMED_REQUEST", None),
]


async def test_what_cannot_be_embedded_is_refused_with_its_exact_status(tmp_path: Path) -> None:
    """Never a 5xx, which clients would repeat; the wrong member is named; nothing goes on waiting."""
    async with encoding(tmp_path) as replica:
        told = [await _told(replica, EMBEDDINGS, body) for body, *_ in REFUSED]
        ok, _ = await replica.post(EMBEDDINGS, _ASKED | {"dimensions": SHAPE.hidden, "user": "u"})
        assert replica.counted(EMBEDDER)[0] == 1
    assert told == [(status, reason, parameter) for _, status, reason, parameter in REFUSED]
    assert ok == 200


async def _told(replica: Encoding, path: str, body: object) -> tuple[int, str, str | None]:
    status, answer = await replica.post(path, body)
    error = answer["error"]
    assert error["type"] == "invalid_request_error"
    return status, error["reason"], error["param"]


async def test_long_texts_are_cut_where_a_caller_says_so(tmp_path: Path) -> None:
    """By `truncate`, or by vLLM's word for how many tokens to keep."""
    asked = {"model": EMBEDDER, "input": ["a", LONG]}
    async with encoding(tmp_path) as replica:
        cuts = ({"truncate": True}, {"truncate_prompt_tokens": -1}, {"truncate_prompt_tokens": 10})
        answers = [await replica.post(EMBEDDINGS, asked | cut) for cut in cuts]
    assert [status for status, _ in answers] == [200] * 3
    assert [answer["usage"]["prompt_tokens"] for _, answer in answers] == [51, 51, 13]


async def test_vectors_are_cut_where_the_model_was_trained_for_it(tmp_path: Path) -> None:
    """`dimensions` of config.json's matryoshka_dimensions; the official client's error names them."""
    async with encoding(tmp_path, matryoshka_dimensions=[8, 32]) as replica:
        embed = replica.client.embeddings.create
        short = await embed(model=EMBEDDER, input="the cat", dimensions=8)
        with pytest.raises(openai.BadRequestError, match="8, 32"):
            await embed(model=EMBEDDER, input="the cat", dimensions=9)
    assert len(short.data[0].embedding) == 8
    assert np.linalg.norm(short.data[0].embedding) == pytest.approx(1.0, abs=1e-6)


async def test_a_full_call_is_answered_in_order(tmp_path: Path) -> None:
    """2048 texts at once, and each vector is that of its text alone."""
    texts = [SENTENCES[place % len(SENTENCES)] for place in range(2048)]
    async with encoding(tmp_path) as replica:
        embed = replica.client.embeddings.create
        alone = [(await embed(model=EMBEDDER, input=text)).data[0].embedding for text in SENTENCES]
        full = await embed(model=EMBEDDER, input=texts)
    assert [item.embedding for item in full.data] == [
        alone[place % len(SENTENCES)] for place in range(2048)
    ]


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
async def test_documents_come_the_best_first(tmp_path: Path, path: str) -> None:
    """With the members that Cohere's, Jina's and litellm's clients read."""
    asked = {"model": RERANKER, "query": "the cat", "documents": list(SENTENCES)}
    async with encoding(tmp_path) as replica:
        status, answer = await replica.post(path, asked)
        _, best = await replica.post(path, asked | {"top_n": 2, "return_documents": False})
        _, every = await replica.post(path, asked | {"top_n": 0})
        _, objects = await replica.post(
            path, asked | {"documents": [{"text": text} for text in SENTENCES]}
        )
    assert status == 200
    scores = [one["relevance_score"] for one in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)
    assert {one["index"] for one in answer["results"]} == set(range(len(SENTENCES)))
    assert all(one["document"] == {"text": SENTENCES[one["index"]]} for one in answer["results"])
    assert best["results"] == [
        {"index": one["index"], "relevance_score": one["relevance_score"]}
        for one in answer["results"][:2]
    ]
    assert every["results"] == objects["results"] == answer["results"]
    assert answer["usage"]["total_tokens"] > len(SENTENCES)
    assert answer["meta"]["api_version"] == {"version": "2"}
    assert answer["model"] == RERANKER


_RANKED: dict[str, Any] = {"model": RERANKER, "query": "the cat", "documents": ["a"]}
RERANK_REFUSED: list[tuple[dict[str, Any] | bytes, int, str, str | None]] = [
    ({"model": RERANKER, "documents": ["a"]}, 400, "PARAMETER_INVALID", "query"),
    ({"model": RERANKER, "query": "a"}, 400, "PARAMETER_INVALID", "documents"),
    (_RANKED | {"query": ""}, 400, "TEXT_EMPTY", "query"),
    (_RANKED | {"query": 3}, 400, "PARAMETER_INVALID", "query"),
    (_RANKED | {"documents": []}, 400, "TEXTS_MISSING", None),
    (_RANKED | {"documents": "a"}, 400, "PARAMETER_INVALID", "documents"),
    (_RANKED | {"documents": [1]}, 400, "PARAMETER_INVALID", "documents[0]"),
    (_RANKED | {"documents": [{"title": "a"}]}, 400, "PARAMETER_INVALID", "documents[0].text"),
    (_RANKED | {"documents": ["a"] * 2049}, 400, "TOO_MANY_TEXTS", None),
    (_RANKED | {"documents": ["a", LONG]}, 400, "CONTEXT_LENGTH_EXCEEDED", "documents[1]"),
    (_RANKED | {"top_n": -1}, 400, "PARAMETER_INVALID", "top_n"),
    (_RANKED | {"top_n": True}, 400, "PARAMETER_INVALID", "top_n"),
    (_RANKED | {"max_tokens_per_doc": 0}, 400, "PARAMETER_INVALID", "max_tokens_per_doc"),
    (_RANKED | {"max_chunks_per_doc": 10}, 400, "OPTION_UNSUPPORTED", "max_chunks_per_doc"),
    (_RANKED | {"rank_fields": ["title"]}, 400, "OPTION_UNSUPPORTED", "rank_fields"),
    (_RANKED | {"priority": 1}, 400, "OPTION_UNSUPPORTED", "priority"),
    (_RANKED | {"model": EMBEDDER}, 400, "VERSION_KIND", None),
    (_RANKED | {"model": TENSORS}, 400, "VERSION_KIND", None),
    (_RANKED | {"model": "nobody"}, 404, "MODEL_NOT_FOUND", None),
    (b"{", 400, "MALFORMED_JSON", None),
]


async def test_what_cannot_be_reranked_is_refused_with_its_exact_status(tmp_path: Path) -> None:
    """The wrong member is named."""
    async with encoding(tmp_path) as replica:
        told = [await _told(replica, RERANK, body) for body, *_ in RERANK_REFUSED]
        cut = _RANKED | {"documents": [LONG]}
        lengths = [
            await replica.post(RERANK, cut | {"max_tokens_per_doc": 6}),
            await replica.post(RERANK, cut | {"truncate": True}),
        ]
        assert replica.counted(RERANKER)[0] == 2
    assert told == [(status, reason, parameter) for _, status, reason, parameter in RERANK_REFUSED]
    assert [status for status, _ in lengths] == [200, 200]
    assert lengths[1][1]["usage"]["total_tokens"] == 48


async def test_callers_who_leave_free_what_they_took(tmp_path: Path) -> None:
    """After 100 calls that were given up nothing waits, and the next is answered."""
    body = {"model": EMBEDDER, "input": ["the cat sat on the mat"] * 500}
    async with encoding(tmp_path) as replica:
        for _ in range(5):
            calls = [asyncio.ensure_future(replica.post(EMBEDDINGS, body)) for _ in range(20)]
            await replica.post(EMBEDDINGS, {"model": EMBEDDER, "input": "a"})
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        status, _ = await replica.post(EMBEDDINGS, {"model": EMBEDDER, "input": "a"})
        held = replica.replica.ingress
        facts = CallFacts(model_name=EMBEDDER, wire="none")
        version = held.reconciler.table.target(EMBEDDER, "").pick(facts)[0]
        assert version.encoder is not None
        encoder = version.encoder.encoder
        await eventually(lambda: not encoder.waiting and not held.budget.requests)
    assert status == 200
