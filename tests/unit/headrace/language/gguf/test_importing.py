"""GGUF files become graphs that compute what their weights say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from gguf import GGMLQuantizationType

from headrace.language.decoder_graph import DecoderShape, FloatArray, WeightFormat
from headrace.language.gguf.importing import import_gguf
from tests.language.plain_forward import forward
from tests.language.tiny_gguf import write_tiny_gguf
from tests.language.tiny_models import LLAMA, MISTRAL, QWEN, QWEN3

TOKENS = [7, 300, 41, 41, 512, 96, 180, 233, 8, 17, 77, 120, 260, 9, 99]


def _logits(folder: Path, shape: DecoderShape) -> FloatArray:
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    empty = np.zeros((1, shape.kv_heads, 0, shape.head_size), np.float32)
    feeds = {each.name: empty for each in session.get_inputs() if each.name.startswith("past")}
    feeds["input_ids"] = np.array([TOKENS], np.int64)
    feeds["attention_mask"] = np.ones((1, len(TOKENS)), np.int64)
    made: FloatArray = session.run(["logits"], feeds)[0][0]
    return made


@pytest.mark.parametrize(
    ("shape", "architecture"),
    [(LLAMA, "llama"), (MISTRAL, "llama"), (QWEN, "qwen2"), (QWEN3, "qwen3")],
    ids=["llama", "mistral", "qwen2", "qwen3"],
)
def test_an_imported_model_computes_what_its_weights_say(
    shape: DecoderShape, architecture: str, tmp_path: Path
) -> None:
    """Turned rows, biases, norms of heads, tied heads, windows and Llama 3's positions come out right."""
    weights = write_tiny_gguf(tmp_path / "tiny.gguf", shape, architecture)
    folder = tmp_path / "onnx"
    folder.mkdir()
    imported = import_gguf(tmp_path / "tiny.gguf", folder, WeightFormat.FP32)
    assert (imported.name, imported.architecture) == ("Tiny", architecture)
    expected = forward(shape, weights.read, TOKENS)
    np.testing.assert_allclose(_logits(folder, shape), expected, atol=2e-4)


@pytest.mark.parametrize("kept", ["F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"])
def test_weights_are_those_that_the_file_keeps(kept: str, tmp_path: Path) -> None:
    """Numbers of every type become floats again, of turned rows, too."""
    weights = write_tiny_gguf(tmp_path / "tiny.gguf", kept=GGMLQuantizationType[kept])
    folder = tmp_path / "onnx"
    folder.mkdir()
    import_gguf(tmp_path / "tiny.gguf", folder, WeightFormat.FP32)
    np.testing.assert_allclose(
        _logits(folder, LLAMA), forward(LLAMA, weights.read, TOKENS), atol=2e-4
    )


def test_int4_keeps_attention_and_head_at_8_bits(tmp_path: Path) -> None:
    """With int4, only the matrices of the feed-forward layers have 4 bits."""
    import onnx

    write_tiny_gguf(tmp_path / "tiny.gguf")
    folder = tmp_path / "onnx"
    folder.mkdir()
    import_gguf(tmp_path / "tiny.gguf", folder, WeightFormat.INT4)
    graph = onnx.load(folder / "model.onnx", load_external_data=False).graph
    bits = {
        node.input[1]: attribute.i
        for node in graph.node
        if node.op_type == "MatMulNBits"
        for attribute in node.attribute
        if attribute.name == "bits"
    }
    fours = {name for name, count in bits.items() if count == 4}
    assert fours == {
        f"layers.{layer}.{part}.weight" for layer in (0, 1) for part in ("gate", "up", "down")
    }
    assert bits["head.weight"] == 8


def test_what_a_file_says_of_answers_is_kept(tmp_path: Path) -> None:
    """Its end tokens, its template, its context and how it wants tokens chosen are in the folder."""
    write_tiny_gguf(
        tmp_path / "tiny.gguf",
        change=lambda writer: (
            writer.add_float32("general.sampling.temp", 0.6),
            writer.add_int32("general.sampling.top_k", 20),
        ),
    )
    folder = tmp_path / "onnx"
    folder.mkdir()
    import_gguf(tmp_path / "tiny.gguf", folder, context=256)
    genai = json.loads((folder / "genai_config.json").read_text())["model"]
    assert (genai["context_length"], genai["eos_token_id"]) == (256, [2, 0])
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation["top_k"] == 20
    assert generation["temperature"] == pytest.approx(0.6)
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    assert "<|im_start|>" in tokenizer["chat_template"]
    assert tokenizer["eos_token"] == "<|im_end|>"
