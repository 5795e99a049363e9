"""Decoders that are written as graphs compute what plain arithmetic does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from headrace.language.decoder_graph import DecoderShape, FloatArray, WeightFormat
from headrace.language.decoder_graph.blockwise import BLOCK_SIZE, quantized
from headrace.language.decoder_graph.external_tensors import ALIGNMENT
from tests.language.optimum_form import write_optimum_model
from tests.language.tiny_models import LLAMA, MISTRAL, QWEN, QWEN3, TinyModel, write_tiny_model

SHAPES = pytest.mark.parametrize(
    "shape", [LLAMA, QWEN, QWEN3, MISTRAL], ids=["llama", "qwen2", "qwen3", "mistral"]
)
TEXT = (
    "The river runs through the town, past the mill; count twice and write once, said the miller."
)


class _Session:
    """A graph, run with a cache that grows by each run's tokens."""

    def __init__(self, model: TinyModel) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model.folder / "model.onnx", options)
        self._shape = model.shape
        self._past = {
            each.name: np.zeros((1, model.shape.kv_heads, 0, model.shape.head_size), np.float32)
            for each in self._session.get_inputs()
            if each.name.startswith("past")
        }
        self._length = 0

    def run(self, tokens: list[int], **more: np.ndarray) -> FloatArray:
        self._length += len(tokens)
        feeds = {
            "input_ids": np.array([tokens], np.int64),
            "attention_mask": np.ones((1, self._length), np.int64),
        }
        logits, *present = self._session.run(None, {**feeds, **self._past, **more})
        self._past = dict(zip(self._past, present, strict=True))
        made: FloatArray = logits[0]
        return made


@SHAPES
def test_logits_are_those_of_plain_arithmetic(shape: DecoderShape, tmp_path: Path) -> None:
    """A prompt in one run, and the same token by token, both give the plain decoder's logits."""
    model = write_tiny_model(tmp_path, shape)
    tokens = model.encode(TEXT)
    expected = model.logits(tokens)
    np.testing.assert_allclose(_Session(model).run(tokens), expected, atol=2e-4)
    session = _Session(model)
    steps = [session.run(tokens[:9]), *(session.run([token]) for token in tokens[9:])]
    np.testing.assert_allclose(np.concatenate(steps), expected, atol=2e-4)


@pytest.mark.parametrize("shape", [LLAMA, QWEN, MISTRAL], ids=["llama", "qwen2", "mistral"])
def test_the_form_of_optimum_computes_the_same(shape: DecoderShape, tmp_path: Path) -> None:
    """The tests' model of plain operators says what plain arithmetic says, whole and token by token."""
    model = write_optimum_model(tmp_path, shape)
    tokens = model.encode(TEXT)
    positions = np.arange(len(tokens))[None]
    session = _Session(model)
    steps = [session.run(tokens[:9], position_ids=positions[:, :9])]
    for at, token in enumerate(tokens[9:], 9):
        steps.append(session.run([token], position_ids=positions[:, at : at + 1]))
    np.testing.assert_allclose(np.concatenate(steps), model.logits(tokens), atol=2e-4)


def test_fewer_logits_can_be_asked_for(tmp_path: Path) -> None:
    """The optional input keeps the last tokens' logits alone; 0 keeps all."""
    model = write_tiny_model(tmp_path)
    tokens = model.encode(TEXT)
    all_logits = _Session(model).run(tokens)
    for keep in (0, 1, 3):
        kept = _Session(model).run(tokens, num_logits_to_keep=np.array([keep]))
        np.testing.assert_allclose(kept, all_logits[-keep:], atol=1e-5)


@SHAPES
@pytest.mark.parametrize(
    ("weight_format", "farthest"), [(WeightFormat.INT8, 0.03), (WeightFormat.INT4, 0.9)]
)
def test_rounded_weights_say_nearly_the_same(
    shape: DecoderShape, weight_format: WeightFormat, farthest: float, tmp_path: Path
) -> None:
    """With int8 and int4 weights the likely tokens stay likely: their distributions hardly part."""
    model = write_tiny_model(tmp_path, shape, weight_format=weight_format)
    tokens = model.encode(TEXT)
    expected, actual = _log_shares(model.logits(tokens)), _log_shares(_Session(model).run(tokens))
    divergence = np.sum(np.exp(expected) * (expected - actual), axis=-1)
    assert divergence.mean() < farthest


def _log_shares(logits: FloatArray) -> FloatArray:
    shifted = logits - logits.max(-1, keepdims=True)
    made: FloatArray = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return made


@pytest.mark.parametrize(("bits", "part"), [(8, 0.5), (4, 1.0)])
def test_a_rounded_weight_is_within_its_blocks_step(bits: int, part: float) -> None:
    """No weight moves by more than a step of its block: half a step, but for int4's uneven end."""
    matrix = np.random.default_rng(1).standard_normal((7, 80)).astype(np.float32)
    matrix[3] = 0
    codes, scales = quantized(matrix, bits)
    if bits == 4:
        codes = np.stack([codes & 15, codes >> 4], -1).reshape(7, 3, BLOCK_SIZE)
    restored = (codes.astype(np.float32) - 2 ** (bits - 1)) * scales[..., None]
    moved = np.abs(restored.reshape(7, -1)[:, :80] - matrix)
    steps = np.repeat(np.abs(scales), BLOCK_SIZE, axis=1)[:, :80]
    assert (moved <= part * steps + 1e-6).all()


def test_weights_lie_beside_the_graph(tmp_path: Path) -> None:
    """The graph holds no large tensor; each lies on a page of the file beside it."""
    write_tiny_model(tmp_path, weight_format=WeightFormat.INT4)
    graph = tmp_path / "model.onnx"
    tensors = onnx.load(graph, load_external_data=False).graph.initializer
    offsets = [
        int(entry.value)
        for tensor in tensors
        for entry in tensor.external_data
        if entry.key == "offset"
    ]
    assert len(offsets) > 20
    assert all(offset % ALIGNMENT == 0 for offset in offsets)
    assert graph.stat().st_size < 40_000


def test_progress_is_told_step_by_step(tmp_path: Path) -> None:
    """Each layer is a step, as are the embeddings and the head."""
    from headrace.language.decoder_graph import write_decoder
    from tests.language.tiny_models import RandomWeights

    told: list[tuple[int, int]] = []
    write_decoder(LLAMA, RandomWeights(LLAMA), tmp_path, progress=lambda *step: told.append(step))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
