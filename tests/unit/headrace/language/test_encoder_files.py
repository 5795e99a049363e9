"""Encoders as their files describe them: kind, pooling, lengths, and what is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

from headrace.datatype_names import Datatype
from headrace.errors import InvalidArgument
from headrace.language.encoder_files import EncoderFiles, encoder_root, read_encoder_files
from headrace.language.encoder_graph import EncoderGraph, encoder_graph
from headrace.language.graph_ends import GraphEnd, GraphEnds, ends_of_session
from headrace.state.language_records import EncodingConfig, Pooling, VersionKind
from tests.language.tiny_encoders import SHAPE, write_embedder, write_reranker


def _graph(folder: Path) -> EncoderGraph:
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    graph = encoder_graph(ends_of_session(session))
    assert graph is not None
    return graph


def _read(folder: Path, **asked: Any) -> EncoderFiles | None:
    return read_encoder_files(folder, _graph(folder), EncodingConfig(**asked))


def _change(path: Path, **keys: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))


@pytest.mark.parametrize("pooling", list(Pooling)[:4])
def test_an_embedder_is_read_from_its_files(tmp_path: Path, pooling: Pooling) -> None:
    """Pooling of 1_Pooling, normalisation of modules.json, lengths of sentence_bert_config.json."""
    files = _read(write_embedder(tmp_path, pooling=pooling, normalizes=pooling is Pooling.CLS))
    assert files is not None
    assert (files.kind, files.pooling) == (VersionKind.EMBEDDING, pooling)
    assert files.normalizes == (pooling is Pooling.CLS)
    assert (files.architecture, files.context_length, files.embedding_size) == ("bert", 48, 32)
    facts = files.facts("d" * 64)
    assert (facts.capabilities, facts.vocabulary_size) == (("embedding",), SHAPE.vocabulary)


def test_a_cross_encoder_is_a_reranker(tmp_path: Path) -> None:
    """A classifier of one class whose graph has logits of one number."""
    files = _read(write_reranker(tmp_path))
    assert files is not None
    assert (files.kind, files.output) == (VersionKind.RERANK, "logits")
    assert files.facts("").embedding_size == 0


def test_a_classifier_of_several_classes_is_no_encoder(tmp_path: Path) -> None:
    """It stays a version of tensors."""
    folder = write_reranker(tmp_path)
    graph = _graph(folder)
    ends = GraphEnds(
        {name: GraphEnd(kind, (-1, -1)) for name, kind in graph.inputs.items()},
        {"logits": GraphEnd(Datatype.FP32, (-1, 3))},
    )
    wide = encoder_graph(ends)
    assert wide is not None
    assert read_encoder_files(folder, wide, EncodingConfig()) is None


def test_a_graph_with_other_inputs_is_no_encoder() -> None:
    """Past keys, or pixels: whatever it is, it does not encode texts alone."""
    tokens = GraphEnd(Datatype.INT64, (-1, -1))
    for name, shape in (("past_key_values.0.key", (-1, 2, -1, 8)), ("pixel_values", (-1, 3, 8, 8))):
        ends = GraphEnds({"input_ids": tokens, name: GraphEnd(Datatype.FP32, shape)}, {})
        assert encoder_graph(ends) is None


def test_the_serving_config_says_what_files_leave_open(tmp_path: Path) -> None:
    """Without modules.json a graph of hidden states is an encoder where its push says how to pool."""
    folder = write_embedder(tmp_path)
    (folder / "modules.json").unlink()
    assert _read(folder) is None
    files = _read(folder, pooling=Pooling.CLS, normalize=True)
    assert files is not None
    assert (files.pooling, files.normalizes) == (Pooling.CLS, True)


@pytest.mark.parametrize("pooling", ["root", "weighted"])
def test_other_poolings_are_refused_by_name(tmp_path: Path, pooling: str) -> None:
    """What would give other vectors is never taken for the mean; a push may say how to pool instead."""
    folder = write_embedder(tmp_path, pooling=pooling)
    with pytest.raises(InvalidArgument, match="pooling_mode_") as refused:
        _read(folder)
    assert refused.value.reason == "ENCODER_UNSUPPORTED"
    assert _read(folder, pooling=Pooling.MEAN) is not None


def test_a_dense_step_is_refused_by_name(tmp_path: Path) -> None:
    """Nor is a step left out that the files list."""
    folder = write_embedder(tmp_path)
    listed = json.loads((folder / "modules.json").read_text())
    dense = {"idx": 3, "path": "3_Dense", "type": "sentence_transformers.models.Dense"}
    (folder / "modules.json").write_text(json.dumps([*listed, dense]))
    with pytest.raises(InvalidArgument, match="'Dense'"):
        _read(folder, pooling=Pooling.MEAN)


def test_a_graph_of_several_rows_at_once_is_refused(tmp_path: Path) -> None:
    """Nobody would always send as many texts."""
    folder = write_embedder(tmp_path)
    fixed = replace(_graph(folder), fixed_rows=8)
    with pytest.raises(InvalidArgument, match="8 texts at a time"):
        read_encoder_files(folder, fixed, EncodingConfig())


def test_two_poolings_at_once_are_refused(tmp_path: Path) -> None:
    """Vectors that are put side by side would be longer than what is recorded."""
    folder = write_embedder(tmp_path)
    _change(folder / "1_Pooling" / "config.json", pooling_mode_cls_token=True)
    with pytest.raises(InvalidArgument, match="pooling_mode_cls_token, pooling_mode_mean_tokens"):
        _read(folder)


def test_the_newer_form_of_pooling_is_read(tmp_path: Path) -> None:
    """`pooling_mode` names the one that is meant."""
    folder = write_embedder(tmp_path)
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "lasttoken"}')
    files = _read(folder)
    assert files is not None
    assert files.pooling is Pooling.LAST


@pytest.mark.parametrize(
    ("keys", "length"),
    [
        ({}, 48),
        ({"max_position_embeddings": 40}, 40),
        ({"max_position_embeddings": 40, "model_type": "roberta", "pad_token_id": 1}, 38),
    ],
)
def test_the_context_is_the_shortest_that_is_said(
    tmp_path: Path, keys: dict[str, Any], length: int
) -> None:
    """A text never gets more positions than there are; RoBERTa keeps two for padding."""
    files = _read(write_embedder(tmp_path, **keys))
    assert files is not None
    assert files.context_length == length


def test_the_default_prompt_and_dimensions_are_read(tmp_path: Path) -> None:
    """`default_prompt_name` names a prompt; `is_matryoshka` allows every size."""
    folder = write_embedder(tmp_path, is_matryoshka=True)
    config = {"prompts": {"query": "query: "}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(config))
    files = _read(folder)
    assert files is not None
    assert (files.prompt, files.dimensions[-1]) == ("query: ", SHAPE.hidden)


def test_paths_of_modules_lead_nowhere_else(tmp_path: Path) -> None:
    """A module's folder outside the artifact is not read."""
    folder = write_embedder(tmp_path / "artifact")
    (tmp_path / "config.json").write_text('{"pooling_mode": "cls"}')
    listed = [{"path": "..", "type": "sentence_transformers.models.Pooling"}]
    (folder / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(InvalidArgument, match="its pooling is none"):
        _read(folder)


@pytest.mark.parametrize("text", ["[]", "{", '{"a": ', "[1]", "[" * 100_000])
def test_hostile_files_are_refused(tmp_path: Path, text: str) -> None:
    """Whatever config.json holds, it is refused by name."""
    folder = write_embedder(tmp_path)
    (folder / "config.json").write_text(text)
    with pytest.raises(InvalidArgument) as refused:
        _read(folder)
    assert refused.value.reason == "LANGUAGE_FILES_INVALID"


def test_files_may_lie_above_the_graph(tmp_path: Path) -> None:
    """Exporters write onnx/model.onnx, with all else beside that folder."""
    folder = write_embedder(tmp_path)
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / "onnx" / "model.onnx")
    assert encoder_root(folder, "onnx/model.onnx") == folder
    (folder / "tokenizer.json").unlink()
    assert encoder_root(folder, "onnx/model.onnx") is None
