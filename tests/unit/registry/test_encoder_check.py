"""Encoders are recognised by their files and their graph, and checked by the vector of a text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest

from headrace import errors
from headrace.language.tokenizer import tokenizer_digest
from headrace.language.triton_form import RERANK_SIGNATURE, embedding_signature
from headrace.state.language_records import EncodingConfig, Pooling, VersionKind
from headrace_registry.adapters.checks.language.candidate import (
    Candidate,
    CheckBounds,
    CheckedText,
)
from headrace_registry.adapters.checks.language.recognition import recognise
from headrace_registry.domain.pushes.artifacts import RequestedOptions
from tests.language.tiny_encoders import SHAPE, write_embedder, write_reranker


def _candidate(folder: Path, **asked: Any) -> Candidate:
    bounds = CheckBounds(float("inf"), 4 << 30)
    return Candidate(folder, "model.onnx", RequestedOptions(**asked), (), bounds)


def _checked(folder: Path, **asked: Any) -> CheckedText:
    candidate = _candidate(folder, **asked)
    check = recognise(candidate)
    assert check is not None
    return check(candidate)


def _set(path: Path, **keys: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


def test_an_embedder_has_its_size_pooling_and_lengths_recorded(tmp_path: Path) -> None:
    """Its signature in tensors is a text in, a vector out."""
    folder = write_embedder(tmp_path)
    found = _checked(folder)
    facts = found.facts
    assert (VersionKind.EMBEDDING, "bert", 48, SHAPE.hidden, "fp32") == (
        facts.kind,
        facts.architecture,
        facts.context_length,
        facts.embedding_size,
        facts.weights,
    )
    assert (Pooling.MEAN, True, ("embedding",)) == (
        facts.pooling,
        facts.normalized,
        facts.capabilities,
    )
    assert tokenizer_digest(folder / "tokenizer.json") == facts.tokenizer_digest
    assert embedding_signature(SHAPE.hidden) == found.signature
    assert () == found.notices


def test_a_cross_encoder_reranks(tmp_path: Path) -> None:
    """A query and documents in, scores out."""
    found = _checked(write_reranker(tmp_path))
    assert (VersionKind.RERANK, ("rerank",)) == (found.facts.kind, found.facts.capabilities)
    assert RERANK_SIGNATURE == found.signature


def test_an_int8_encoder_is_taken_and_told_that_texts_run_alone(tmp_path: Path) -> None:
    """Scales that are taken from the whole batch mix its texts: the notice names the node."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    folder = write_embedder(tmp_path)
    plain = (folder / "model.onnx").rename(tmp_path / "plain.onnx")
    quantize_dynamic(plain, folder / "model.onnx", weight_type=QuantType.QInt8)
    found = _checked(folder)
    assert "int8" == found.facts.weights
    assert "texts may run one at a time" in found.notices[0]
    assert "DynamicQuantizeLinear" in found.notices[0]


def test_a_graph_without_modules_takes_tensors_unless_its_push_says_more(tmp_path: Path) -> None:
    """Whoever says how to pool, or of which kind it is, gets an encoder or hears what is missing."""
    folder = write_embedder(tmp_path)
    (folder / "modules.json").unlink()
    assert recognise(_candidate(folder)) is None
    found = _checked(folder, encoding=EncodingConfig(pooling=Pooling.CLS))
    assert (Pooling.CLS, False) == (found.facts.pooling, found.facts.normalized)
    with pytest.raises(errors.InvalidArgument, match=r"encoding\.pooling"):
        recognise(_candidate(folder, kind=VersionKind.EMBEDDING))
    with pytest.raises(errors.InvalidArgument, match="pushed as one of rerank"):
        recognise(_candidate(folder, kind=VersionKind.RERANK))


def test_an_encoder_may_be_pushed_as_one_of_tensors(tmp_path: Path) -> None:
    """Then callers bring tokens themselves."""
    folder = write_embedder(tmp_path)
    assert recognise(_candidate(folder, kind=VersionKind.TENSORS)) is None


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    """Its tokens would be none of the graph's."""
    folder = write_embedder(tmp_path, vocab_size=20)
    with pytest.raises(errors.InvalidArgument) as refused:
        _checked(folder)
    assert "TOKENIZER_MISMATCH" == refused.value.reason


def test_positions_that_are_not_there_are_found(tmp_path: Path) -> None:
    """A text of the whole context has to run, whatever config.json says of it."""
    folder = write_embedder(tmp_path, max_length=100, max_position_embeddings=100)
    with pytest.raises(errors.InvalidArgument, match="100 tokens") as refused:
        _checked(folder)
    assert "ENCODING_FAILED" == refused.value.reason


def test_vectors_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    """Such a version would serve nobody."""
    folder = write_embedder(tmp_path)
    graph = onnx.load(folder / "model.onnx")
    norm = next(one for one in graph.graph.initializer if one.name.endswith("LayerNorm.weight"))
    norm.raw_data = b"\xff" * len(norm.raw_data)
    onnx.save(graph, folder / "model.onnx")
    with pytest.raises(errors.InvalidArgument, match="no finite numbers"):
        _checked(folder)
