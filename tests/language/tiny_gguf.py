"""Tiny GGUF files, with the numbers and the tokenizer of the tiny models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import dequantize, quantize
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from headrace.language.decoder_graph import DecoderShape, FloatArray
from headrace.language.decoder_graph import weights as names
from headrace.language.decoder_graph.weights import of_layer
from tests.language.tiny_models import LLAMA, RandomWeights
from tests.language.tiny_tokenizer import BEGIN, CHAT_TEMPLATE, END, SPECIAL, TEXT, tiny_tokenizer

NAMES = {
    names.ATTENTION_NORM: "attn_norm.weight",
    names.QUERY: "attn_q.weight",
    names.KEY: "attn_k.weight",
    names.VALUE: "attn_v.weight",
    names.QUERY_BIAS: "attn_q.bias",
    names.KEY_BIAS: "attn_k.bias",
    names.VALUE_BIAS: "attn_v.bias",
    names.QUERY_NORM: "attn_q_norm.weight",
    names.KEY_NORM: "attn_k_norm.weight",
    names.ATTENTION_OUTPUT: "attn_output.weight",
    names.FEED_FORWARD_NORM: "ffn_norm.weight",
    names.GATE: "ffn_gate.weight",
    names.UP: "ffn_up.weight",
    names.DOWN: "ffn_down.weight",
}
BIASES = (names.QUERY_BIAS, names.KEY_BIAS, names.VALUE_BIAS)
NORMS = (names.QUERY_NORM, names.KEY_NORM)
F32 = GGMLQuantizationType.F32
Change = Callable[[GGUFWriter], object]


class RoundedWeights:
    """The tiny models' weights, as they are after a GGUF file kept them in a type of its own."""

    def __init__(self, shape: DecoderShape, kept: GGMLQuantizationType = F32) -> None:
        self._weights = RandomWeights(shape)
        self._kept = kept

    def packed(self, tensor: str) -> np.ndarray:
        """A tensor as the file keeps it: matrices rounded, vectors as they are."""
        values = self._weights.read(tensor)
        return values if values.ndim == 1 else quantize(values, self._kept)

    def read(self, tensor: str) -> FloatArray:
        """A tensor's numbers."""
        packed = self.packed(tensor)
        if packed.ndim == 1:
            return packed
        return np.asarray(dequantize(packed, self._kept), np.float32)


def write_tiny_gguf(
    path: Path,
    shape: DecoderShape = LLAMA,
    architecture: str = "llama",
    *,
    kept: GGMLQuantizationType = F32,
    pre: str = "smollm",
    pieces: bool = False,
    change: Change | None = None,
) -> RoundedWeights:
    """Write a file as llama.cpp's converter does, with what `change` adds; return its weights.

    With `pieces` the tokenizer is SentencePiece's, as that of Llama 2 and Mistral.
    """
    writer = GGUFWriter(path, architecture)
    _add_sizes(writer, shape)
    if pieces:
        _add_pieces(writer)
    else:
        _add_tokenizer(writer, pre)
    weights = RoundedWeights(shape, kept)
    for name, values in _tensors(shape, weights, permuted=architecture == "llama").items():
        writer.add_tensor(name, values, raw_dtype=kept if values.ndim > 1 else F32)
    if change is not None:
        change(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def _add_sizes(writer: GGUFWriter, shape: DecoderShape) -> None:
    writer.add_name("Tiny")
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context_length)
    writer.add_embedding_length(shape.hidden_size)
    writer.add_feed_forward_length(shape.feed_forward_size)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_size)
    writer.add_value_length(shape.head_size)
    writer.add_rope_dimension_count(shape.head_size)
    writer.add_rope_freq_base(shape.rope.base)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    if shape.sliding_window:
        writer.add_sliding_window(shape.sliding_window)
    if shape.rope.divisors:
        writer.add_tensor("rope_freqs.weight", np.array(shape.rope.divisors, np.float32))


def _add_tokenizer(writer: GGUFWriter, pre: str) -> None:
    held = json.loads(tiny_tokenizer().to_str())["model"]
    tokens = list(held["vocab"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    tokens += [f"[PAD{number}]" for number in range(len(tokens), LLAMA.vocabulary_size)]
    writer.add_token_list(tokens)
    known = set(held["vocab"])
    writer.add_token_types(
        [
            TokenType.CONTROL
            if token in SPECIAL
            else TokenType.NORMAL
            if token in known
            else TokenType.UNUSED
            for token in tokens
        ]
    )
    writer.add_token_merges([" ".join(each) for each in held["merges"]])
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(END)
    writer.add_pad_token_id(BEGIN)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _add_pieces(writer: GGUFWriter) -> None:
    """A vocabulary of pieces with scores, in which a space is a character as others are."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
    tokenizer.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=330, show_progress=False))
    pieces = list(json.loads(tokenizer.to_str())["model"]["vocab"])
    named = ["<unk>", "<s>", "</s>"]
    tokens = [*named, *(f"<0x{number:02X}>" for number in range(256)), *pieces]
    types = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    types += [TokenType.BYTE] * 256 + [TokenType.NORMAL] * len(pieces)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_scores([0.0] * 259 + [-float(rank) for rank in range(len(pieces))])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def _tensors(
    shape: DecoderShape, weights: RoundedWeights, *, permuted: bool
) -> dict[str, np.ndarray]:
    made = {
        "token_embd.weight": weights.packed(names.EMBEDDING),
        "output_norm.weight": weights.packed(names.FINAL_NORM),
    }
    if not shape.tied:
        made["output.weight"] = weights.packed(names.HEAD)
    left_out = (() if shape.attention_biases else BIASES) + (() if shape.head_norms else NORMS)
    for layer in range(shape.layers):
        for part, name in NAMES.items():
            if part in left_out:
                continue
            values = weights.packed(of_layer(layer, part))
            if permuted and name.startswith(("attn_q.", "attn_k.")):
                values = _interleaved(values, shape.head_size)
            made[f"blk.{layer}.{name}"] = values
    return made


def _interleaved(rows: np.ndarray, head_size: int) -> np.ndarray:
    """The rows as llama.cpp's converter turns them: each of a head's first half beside its twin."""
    halves = rows.reshape(-1, 2, head_size // 2, *rows.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows.shape))
