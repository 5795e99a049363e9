"""Requests of encoders made of callers' texts, tokens and pairs: what is cut, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.errors import InvalidArgument
from headrace.state.language_records import VersionKind
from headrace_inference.domain.encoding.request_texts import (
    cut_to,
    embedding_request,
    rerank_request,
    scores_of,
)
from headrace_inference.domain.encoding.requests import Vectors
from tests.language.tiny_encoders import SENTENCES, write_embedder, write_reranker
from tests.unit.inference.encoding.encoders import Started, bare_outputs, opened, submit


def _embedded(encoder: Started, texts: Sequence[Any], **options: bool) -> Vectors:
    request = embedding_request(encoder.text_encoder, "tiny", texts, **options)
    return submit(encoder, request.texts)[1].wait()


def test_texts_and_their_tokens_have_the_same_vector(tmp_path: Path) -> None:
    """The tokenizer's own padding and cutting are undone; control tokens in a text are plain text."""
    with opened(write_embedder(tmp_path)) as encoder:
        codec = encoder.text_encoder.codec
        texts = [*SENTENCES, " ".join(SENTENCES[:4])]
        tokens = codec.encode_texts(texts)
        assert 16 < len(tokens[-1]) <= 48
        assert 3 not in codec.encode("a [SEP] b", add_special_tokens=False)
        assert np.array_equal(_embedded(encoder, texts), _embedded(encoder, tokens))


def test_a_long_text_is_refused_or_cut_before_its_end(tmp_path: Path) -> None:
    """Over the context length a text is refused by its place; where it may be cut, its end token stays."""
    long = " ".join(SENTENCES * 3)
    with opened(write_embedder(tmp_path)) as encoder:
        with pytest.raises(InvalidArgument, match="takes 48") as refused:
            _embedded(encoder, ["short", long])
        assert refused.value.reason == "CONTEXT_LENGTH_EXCEEDED"
        assert [one.field for one in refused.value.violations] == ["input[1]"]
        cut = embedding_request(encoder.text_encoder, "tiny", [long], truncate=True).texts[0]
        assert (len(cut), cut[0], cut[-1]) == (48, 2, 3)


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ([], "TEXTS_MISSING"),
        (["a"] * 2049, "TOO_MANY_TEXTS"),
        (["a", ""], "TEXT_EMPTY"),
        ([[]], "TEXT_EMPTY"),
        (["\ud800"], "TEXT_INVALID"),
        ([[1, 120]], "TOKEN_UNKNOWN"),
        ([[-1]], "TOKEN_UNKNOWN"),
    ],
)
def test_what_cannot_be_embedded_is_refused_by_name(
    tmp_path: Path, texts: list[Any], reason: str
) -> None:
    """Nothing of it reaches the graph."""
    with opened(write_embedder(tmp_path)) as encoder:
        with pytest.raises(InvalidArgument) as refused:
            embedding_request(encoder.text_encoder, "tiny", texts)
        assert refused.value.reason == reason


def test_vectors_are_cut_only_where_the_model_was_trained_for_it(tmp_path: Path) -> None:
    """The sizes of matryoshka_dimensions, as long as 1 again; others are refused with those."""
    folder = write_embedder(tmp_path / "cut", matryoshka_dimensions=[8, 16, 32])
    with opened(folder) as encoder:
        vectors = _embedded(encoder, SENTENCES)
        short = cut_to(encoder.text_encoder, "tiny", vectors, 8)
        assert np.allclose(np.linalg.norm(short, axis=1), 1)
        assert np.allclose(short, vectors[:, :8] / np.linalg.norm(vectors[:, :8], axis=1)[:, None])
        with pytest.raises(InvalidArgument, match="8, 16, 32") as refused:
            cut_to(encoder.text_encoder, "tiny", vectors, 9)
        assert refused.value.reason == "DIMENSIONS_UNSUPPORTED"
    with opened(write_embedder(tmp_path / "whole")) as encoder:
        vectors = _embedded(encoder, ["a"])
        assert cut_to(encoder.text_encoder, "tiny", vectors, 32) is vectors
        with pytest.raises(InvalidArgument, match="not trained"):
            cut_to(encoder.text_encoder, "tiny", vectors, 8)


def test_a_reranker_scores_documents_between_0_and_1(tmp_path: Path) -> None:
    """Scores are the logistic function of the graph's own logits, of the pair with its token types."""
    folder = write_reranker(tmp_path)
    with opened(folder) as encoder:
        model = encoder.text_encoder
        request = rerank_request(model, "tiny", "the cat", SENTENCES)
        call, outcome = submit(encoder, request.texts)
        assert request.token_types is not None
        assert [sum(types) for types in request.token_types] == [
            len(model.codec.encode(text, add_special_tokens=False)) + 1 for text in SENTENCES
        ]
        plain = scores_of(outcome.wait())
        expected = [one[0] for one in bare_outputs(folder, call.request.texts, "logits")]
        assert np.allclose(plain, 1 / (1 + np.exp(-np.array(expected))), atol=1e-6)
        assert model.facts.kind is VersionKind.RERANK
        with pytest.raises(InvalidArgument, match="kind 'rerank'"):
            embedding_request(model, "tiny", ["a"])


def test_a_long_document_is_cut_and_the_query_kept(tmp_path: Path) -> None:
    """Cutting takes the document's end, and the query's only where nothing else is left."""
    with opened(write_reranker(tmp_path)) as encoder:
        model = encoder.text_encoder
        long = " ".join(SENTENCES * 3)
        with pytest.raises(InvalidArgument, match="takes 48"):
            rerank_request(model, "tiny", "the cat", ["a", long])
        pair = rerank_request(model, "tiny", "the cat", ["a", long], truncate=True)
        assert len(pair.texts[1]) == 48
        assert pair.texts[1][:4] == pair.texts[0][:4]
        assert pair.texts[1][-1] == 3
        short = rerank_request(model, "tiny", long, ["a"], truncate=True, most_tokens=20)
        assert len(short.texts[0]) == 20
        of_document = rerank_request(
            model, "tiny", "the cat", [long], truncate=True, document_tokens=5
        )
        assert len(of_document.texts[0]) == len(pair.texts[0]) + 4
