"""Makes requests of encoders from the texts that callers send, whichever wire these come over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace.errors import InvalidArgument
from headrace.state.language_records import VersionKind
from headrace_inference.domain.encoding.pooling import normalized, probabilities
from headrace_inference.domain.encoding.requests import EncoderModel, EncodingRequest, Vectors
from headrace_inference.domain.encoding.text_limits import check_length, refuse_empty, refuse_many

CallerText = str | Sequence[int]
"""A text, or its tokens, special ones included."""


def embedding_request(
    model: EncoderModel,
    name: str,
    texts: Sequence[CallerText],
    *,
    truncate: bool = False,
    most_tokens: int = 0,
) -> EncodingRequest:
    """Return the request for a vector of each text. It may take milliseconds for each thousand of tokens.

    Texts over the context length, or over `most_tokens` unless that is 0, are cut where the caller or the
    version's config says `truncate`; else those over the context length are refused. Raises
    InvalidArgument (VERSION_KIND, TEXTS_MISSING, TOO_MANY_TEXTS, TEXT_EMPTY, TEXT_INVALID,
    CONTEXT_LENGTH_EXCEEDED, TOKEN_UNKNOWN).
    """
    _refuse_kind(model, name, VersionKind.EMBEDDING)
    refuse_empty(len(texts))
    refuse_many(len(texts))
    for place, text in enumerate(texts):
        check_length(name, len(text), len(text), f"input[{place}]")
    most, truncates = model.facts.context_length, truncate or model.config.truncate
    encoded = iter(model.codec.encode_texts([text for text in texts if isinstance(text, str)]))
    tokens = [next(encoded) if isinstance(text, str) else _known(model, text) for text in texts]
    if truncates:
        kept = max(model.end_tokens, min(most, most_tokens or most))
        tokens = [cut(one, kept, model.end_tokens) for one in tokens]
    for place, one in enumerate(tokens):
        check_length(name, len(one), most, f"input[{place}]")
    return EncodingRequest(tokens)


def rerank_request(
    model: EncoderModel,
    name: str,
    query: str,
    documents: Sequence[str],
    *,
    truncate: bool = False,
    most_tokens: int = 0,
    document_tokens: int = 0,
) -> EncodingRequest:
    """Return the request for a score of each document.

    Pairs over the context length, or over `most_tokens` unless that is 0, lose the document's end, and the
    query's where that is not enough, if the caller or the version's config says `truncate`; so do
    documents of more than `document_tokens`. Else pairs over the context length are refused. Raises
    InvalidArgument (VERSION_KIND, TEXTS_MISSING, TOO_MANY_TEXTS, TEXT_EMPTY, TEXT_INVALID,
    CONTEXT_LENGTH_EXCEEDED).
    """
    _refuse_kind(model, name, VersionKind.RERANK)
    refuse_empty(len(documents))
    refuse_many(len(documents))
    check_length(name, len(query), len(query), "query")
    most = model.facts.context_length
    truncates = truncate or model.config.truncate
    kept = min(most, most_tokens or most) if truncates else 0
    tokens, types = model.codec.encode_pairs(query, documents, kept, document_tokens)
    for place, one in enumerate(tokens):
        check_length(name, len(one), most, f"documents[{place}]")
    return EncodingRequest(tokens, types)


def scores_of(vectors: Vectors) -> Vectors:
    """Return the score of each document, from 0 to 1, of what an encoder made of a rerank request."""
    return probabilities(vectors[:, 0])


def cut_to(model: EncoderModel, name: str, vectors: Vectors, dimensions: int) -> Vectors:
    """Return the first so many numbers of each vector, made as long as 1 again where the version does.

    Raises InvalidArgument (DIMENSIONS_UNSUPPORTED) where the model was not trained for that.
    """
    size = vectors.shape[1]
    if dimensions == size:
        return vectors
    check_dimensions(model, name, dimensions)
    shorter = np.ascontiguousarray(vectors[:, :dimensions])
    return normalized(shorter) if model.facts.normalized else shorter


def check_dimensions(model: EncoderModel, name: str, dimensions: int) -> None:
    """Raises InvalidArgument (DIMENSIONS_UNSUPPORTED) for a size that vectors may not be cut to."""
    if dimensions in (*model.dimensions, model.facts.embedding_size):
        return
    allowed = (
        f"its vectors may have {_listed(model.dimensions)}"
        if model.dimensions
        else "it was not trained for shorter vectors: leave 'dimensions' out"
    )
    raise InvalidArgument(
        "DIMENSIONS_UNSUPPORTED",
        f"{name} has vectors of {model.facts.embedding_size} numbers, not of {dimensions}; {allowed}",
        facts={"size": str(model.facts.embedding_size)},
    )


def cut(tokens: Sequence[int], most: int, end_tokens: int) -> Sequence[int]:
    """Return the first tokens of a text, with those that end it."""
    if len(tokens) <= most:
        return tokens
    return [*tokens[: most - end_tokens], *tokens[len(tokens) - end_tokens :]]


def _known(model: EncoderModel, tokens: Sequence[int]) -> Sequence[int]:
    most = model.facts.vocabulary_size or model.codec.size
    wrong = next((token for token in tokens if not 0 <= token < most), None)
    if wrong is not None:
        raise InvalidArgument(
            "TOKEN_UNKNOWN",
            f"token {wrong} is not in the vocabulary, which has tokens 0 to {most - 1}: send texts, or "
            "tokens of this model's own tokenizer (LangChain: check_embedding_ctx_length=False)",
            facts={"limit": str(most)},
        )
    return tokens


def _refuse_kind(model: EncoderModel, name: str, wanted: VersionKind) -> None:
    kind = model.facts.kind
    if kind is not wanted:
        raise InvalidArgument(
            "VERSION_KIND",
            f"{name} is a version of kind '{kind}', and was asked as one of kind '{wanted}'",
            facts={"kind": str(kind)},
        )


def _listed(sizes: Sequence[int]) -> str:
    is_range = len(sizes) == sizes[-1] - sizes[0] + 1
    return f"{sizes[0]} to {sizes[-1]}" if is_range else ", ".join(map(str, sizes))
