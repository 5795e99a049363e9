"""Answers `/v1/rerank`, `/v2/rerank` and `/rerank`: a score for each document, the best first.

One body satisfies the clients of Cohere (v1 and v2), Jina, vLLM and litellm: it has the members of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import msgspec

from headrace.service.http.answers import Response, json_response
from headrace_inference.domain.encoding.request_texts import rerank_request, scores_of
from headrace_inference.domain.encoding.requests import EncodingRequest, Vectors
from headrace_inference.domain.ingress.language_calls import LanguageCall
from headrace_inference.wire.openai.bodies import Members, known, unsupported, wrong
from headrace_inference.wire.openai.embeddings import ON_LOOP_BYTES, elsewhere
from headrace_inference.wire.openai.port import OpenAiPort, Received

_API_VERSION = "2"


class Document(msgspec.Struct, frozen=True):
    """A document as an object."""

    text: str


class RerankBody(msgspec.Struct, frozen=True):
    """A call of rerank, with the members of those APIs."""

    model: str
    query: str
    documents: list[str | Document]
    top_n: int | None = None
    return_documents: bool = True
    max_tokens_per_doc: int | None = None
    max_chunks_per_doc: int | None = None
    truncate: bool = False
    truncate_prompt_tokens: int | None = None
    rank_fields: list[str] | None = None
    priority: int = 0


class RerankRoutes:
    """Decodes, has it encoded, sorts and writes the scores."""

    def __init__(self, port: OpenAiPort) -> None:
        self._port = port

    async def rerank(self, received: Received) -> Response:
        """Answer with the documents' places and scores, the best first."""
        async with self._port.call(received) as (call, members):
            body = _body(members)
            texts = [one if isinstance(one, str) else one.text for one in body.documents]
            is_long = len(received.body) > ON_LOOP_BYTES
            request = await elsewhere(is_long, lambda: _request(call, body, texts))
            vectors = await call.encode(request)
            return json_response(_answer(body, texts, request, scores_of(vectors)))


def _body(members: Members) -> RerankBody:
    body = known(RerankBody, members)
    if body.top_n is not None and body.top_n < 0:
        raise wrong("top_n", "'top_n' is at least 0, which stands for all")
    if body.rank_fields not in (None, ["text"]):
        raise unsupported("rank_fields", "'rank_fields' is not offered here: send texts")
    if body.max_chunks_per_doc not in (None, 1):
        raise unsupported(
            "max_chunks_per_doc",
            "'max_chunks_per_doc' is not offered here: a document is scored whole; send its parts as "
            "documents",
        )
    if body.priority:
        raise unsupported(
            "priority", "'priority' is not offered here: a version has its own levels"
        )
    for name in ("max_tokens_per_doc", "truncate_prompt_tokens"):
        value = members.get(name)
        if isinstance(value, int) and value != -1 and value < 1:
            raise wrong(name, f"'{name}' is at least 1")
    return body


def _request(call: LanguageCall, body: RerankBody, texts: Sequence[str]) -> EncodingRequest:
    asked, of_document = body.truncate_prompt_tokens, body.max_tokens_per_doc
    return rerank_request(
        call.encoder,
        call.version.record.key,
        body.query,
        texts,
        truncate=body.truncate or asked is not None or of_document is not None,
        most_tokens=max(0, asked or 0),
        document_tokens=max(0, of_document or 0),
    )


def _answer(
    body: RerankBody, texts: Sequence[str], request: EncodingRequest, scores: Vectors
) -> dict[str, object]:
    tokens = sum(map(len, request.texts))
    places = sorted(range(len(texts)), key=lambda place: -float(scores[place]))
    results = []
    for place in places[: body.top_n or None]:
        result: dict[str, object] = {"index": place, "relevance_score": float(scores[place])}
        if body.return_documents:
            result["document"] = {"text": texts[place]}
        results.append(result)
    return {
        "id": f"rerank-{uuid4().hex}",
        "object": "rerank",
        "model": body.model,
        "results": results,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        "meta": {
            "api_version": {"version": _API_VERSION},
            "billed_units": {"search_units": 1},
        },
    }
