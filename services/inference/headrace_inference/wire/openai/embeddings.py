"""Answers `/v1/embeddings`: a vector for each text, or for its tokens."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeVar

import msgspec

from headrace.service.http.answers import Response, json_response
from headrace_inference.domain.encoding.request_texts import (
    CallerText,
    check_dimensions,
    cut_to,
    embedding_request,
)
from headrace_inference.domain.encoding.requests import EncodingRequest, Vectors
from headrace_inference.domain.ingress.language_calls import LanguageCall
from headrace_inference.wire.openai.bodies import Members, known, unsupported, wrong
from headrace_inference.wire.openai.port import OpenAiPort, Received

ON_LOOP_BYTES = 4096
"""More is made tokens of in a thread: it takes milliseconds."""
ON_LOOP_NUMBERS = 16_384
"""More are written in a thread."""

_FORMS = "'input' has to be a text, a list of texts, a list of tokens, or a list of lists of tokens"
_REFUSED: Mapping[str, str] = {
    "messages": "a conversation is no text: send 'input'",
    "add_special_tokens": "texts always get the model's special tokens; send tokens for others",
    "embed_dtype": "vectors are float32",
    "input_type": "a model has one form of texts: write its prompt before the text",
    "prompt_name": "write the prompt before the text",
    "task": "a model has one task",
    "normalize": "the version says so: push it with encoding.normalize",
}
"""Members that would change the answer, and that nobody looks at here."""

Made = TypeVar("Made")


class EmbeddingBody(msgspec.Struct, frozen=True):
    """A call of embeddings as OpenAI's API has it, with vLLM's and others' words for cutting texts."""

    model: str
    input: object
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    user: str | None = None
    truncate: bool = False
    truncate_prompt_tokens: int | None = None


class EmbeddingRoutes:
    """Decodes, has it encoded, writes the vectors."""

    def __init__(self, port: OpenAiPort) -> None:
        self._port = port

    async def embed(self, received: Received) -> Response:
        """Answer with a vector for each text, in the order of the texts."""
        async with self._port.call(received) as (call, members):
            _refuse_unsupported(members)
            body = known(EmbeddingBody, members)
            name = call.version.record.key
            if body.dimensions is not None:
                check_dimensions(call.encoder, name, body.dimensions)
            size = len(received.body)
            request = await elsewhere(size > ON_LOOP_BYTES, lambda: _request(call, name, body))
            vectors = await call.encode(request)
            if body.dimensions is not None:
                vectors = cut_to(call.encoder, name, vectors, body.dimensions)
            return await elsewhere(
                vectors.size > ON_LOOP_NUMBERS, lambda: _answer(body, request, vectors)
            )


async def elsewhere(is_long: bool, make: Callable[[], Made]) -> Made:  # noqa: FBT001  # it reads as a condition
    """Make something, in a thread where that takes long."""
    return await asyncio.to_thread(make) if is_long else make()


def _refuse_unsupported(members: Members) -> None:
    for name, hint in _REFUSED.items():
        if name in members:
            raise unsupported(name, f"'{name}' is not offered here: {hint}")


def _request(call: LanguageCall, name: str, body: EmbeddingBody) -> EncodingRequest:
    asked = body.truncate_prompt_tokens
    if asked is not None and asked != -1 and asked < 1:
        raise wrong("truncate_prompt_tokens", "'truncate_prompt_tokens' is -1, or at least 1")
    return embedding_request(
        call.encoder,
        name,
        _texts(body.input),
        truncate=body.truncate or asked is not None,
        most_tokens=max(0, asked or 0),
    )


def _texts(given: object) -> Sequence[CallerText]:
    """Return the texts that an `input` means. Raises InvalidArgument (PARAMETER_INVALID)."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list):
        raise wrong("input", _FORMS)
    if given and all(type(one) is int for one in given):
        return [given]
    if all(isinstance(one, str) for one in given):
        return given
    for place, one in enumerate(given):
        if not isinstance(one, list) or not all(type(token) is int for token in one):
            raise wrong(f"input[{place}]", f"{_FORMS}; element {place} is none of these")
    return given


def _answer(body: EmbeddingBody, request: EncodingRequest, vectors: Vectors) -> Response:
    tokens = sum(map(len, request.texts))
    write = _in_base64 if body.encoding_format == "base64" else _in_numbers
    data = [
        {"object": "embedding", "index": place, "embedding": written}
        for place, written in enumerate(write(vectors))
    ]
    answer = {
        "object": "list",
        "data": data,
        "model": body.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return json_response(answer)


def _in_base64(vectors: Vectors) -> Sequence[str]:
    little = vectors.astype("<f4", copy=False)
    return [base64.b64encode(row.tobytes()).decode("ascii") for row in little]


def _in_numbers(vectors: Vectors) -> Sequence[list[float]]:
    rows: list[list[float]] = vectors.tolist()
    return rows
