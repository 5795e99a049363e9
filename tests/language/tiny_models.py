"""Tiny decoders with random weights, in onnxruntime-genai's layout, each written in a fraction of a second.

```python
def test_it(tiny_llama: TinyModel) -> None:  # a fixture of tests/conftest.py, written once a run
    tiny_llama.folder  # genai_config.json, model.onnx, tokenizer.json, tokenizer_config.json
    tiny_llama.logits(tokens)  # plain arithmetic, to compare with
```
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headrace.language.decoder_graph import (
    DecoderShape,
    FloatArray,
    Rope,
    TextFacts,
    WeightFormat,
    llama3_divisors,
    write_decoder,
    write_genai_config,
)
from headrace.language.decoder_graph import weights as names
from headrace.language.decoder_graph.weights import of_layer
from tests.language.plain_forward import forward
from tests.language.tiny_tokenizer import BEGIN, END, tiny_tokenizer, write_tiny_tokenizer

LLAMA = DecoderShape(
    layers=2,
    hidden_size=64,
    heads=4,
    kv_heads=2,
    head_size=16,
    feed_forward_size=128,
    vocabulary_size=640,  # wider than the tokenizer, as many models are
    context_length=512,
    rope=Rope(10_000.0, llama3_divisors(10_000.0, 16, factor=8.0, original_context=64)),
)
"""As Llama 3: positions are squeezed, the head is a matrix of its own."""
QWEN = replace(LLAMA, rope=Rope(1_000_000.0), attention_biases=True, tied=True)
"""As Qwen2: queries, keys and values have biases, and the head is the table of embeddings."""
QWEN3 = replace(LLAMA, rope=Rope(1_000_000.0), head_norms=True, head_size=32)
"""As Qwen3: heads are normed, and wider than the hidden size divided by their number."""
MISTRAL = replace(LLAMA, rope=Rope(10_000.0), sliding_window=12)
"""As Mistral: a token sees a window."""


class RandomWeights:
    """Weights of a shape, the same for the same seed; so large that answers do not repeat themselves."""

    def __init__(self, shape: DecoderShape, seed: int = 0) -> None:
        self._tensors = dict(_random_tensors(shape, np.random.default_rng(seed)))

    def read(self, tensor: str, start: int = 0, stop: int | None = None) -> FloatArray:
        """Return a tensor's rows."""
        return self._tensors[tensor][start:stop]


def _random_tensors(
    shape: DecoderShape, random: np.random.Generator
) -> Sequence[tuple[str, FloatArray]]:
    def table(*size: int, scale: float) -> FloatArray:
        """Rows for tokens; those that the tokenizer does not know are never the most likely."""
        made = tensor(*size, scale=scale)
        made[tiny_tokenizer().get_vocab_size() :] = 0
        return made

    def tensor(*size: int, scale: float = 0.125, middle: float = 0.0) -> FloatArray:
        return (random.standard_normal(size) * scale + middle).astype(np.float32)

    made: list[tuple[str, FloatArray]] = [
        (names.EMBEDDING, table(shape.vocabulary_size, shape.hidden_size, scale=0.25)),
        (names.HEAD, table(shape.vocabulary_size, shape.hidden_size, scale=0.5)),
        (names.FINAL_NORM, tensor(shape.hidden_size, middle=1)),
    ]
    sizes: dict[str, tuple[int, ...]] = {
        names.QUERY: (shape.query_size, shape.hidden_size),
        names.KEY: (shape.kv_size, shape.hidden_size),
        names.VALUE: (shape.kv_size, shape.hidden_size),
        names.QUERY_BIAS: (shape.query_size,),
        names.KEY_BIAS: (shape.kv_size,),
        names.VALUE_BIAS: (shape.kv_size,),
        names.ATTENTION_OUTPUT: (shape.hidden_size, shape.query_size),
        names.GATE: (shape.feed_forward_size, shape.hidden_size),
        names.UP: (shape.feed_forward_size, shape.hidden_size),
        names.DOWN: (shape.hidden_size, shape.feed_forward_size),
    }
    norms = {names.ATTENTION_NORM: shape.hidden_size, names.FEED_FORWARD_NORM: shape.hidden_size}
    norms |= {names.QUERY_NORM: shape.head_size, names.KEY_NORM: shape.head_size}
    # A head that is the table of embeddings says the last token again, unless layers say more.
    loud = (names.ATTENTION_OUTPUT, names.DOWN) if shape.tied else ()
    for layer in range(shape.layers):
        for name, size in sizes.items():
            made.append(
                (of_layer(layer, name), tensor(*size, scale=0.5 if name in loud else 0.125))
            )
        made += [(of_layer(layer, name), tensor(size, middle=1)) for name, size in norms.items()]
    return made


@dataclass(frozen=True, slots=True)
class TinyModel:
    """A model as a folder, and what its weights are."""

    folder: Path
    shape: DecoderShape
    weights: RandomWeights

    def logits(self, tokens: Sequence[int]) -> FloatArray:
        """The logits after each token, in plain arithmetic without a cache."""
        return forward(self.shape, self.weights.read, tokens)

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """The `count` most likely tokens after a prompt, each by a whole forward run; ends are ignored."""
        tokens = list(prompt)
        for _ in range(count):
            tokens.append(int(self.logits(tokens)[-1].argmax()))
        return tokens[len(prompt) :]

    def encode(self, text: str) -> list[int]:
        """A text as tokens."""
        tokens: list[int] = tiny_tokenizer().encode(text, add_special_tokens=False).ids
        return tokens


def write_tiny_model(
    folder: Path,
    shape: DecoderShape = LLAMA,
    *,
    architecture: str = "llama",
    weight_format: WeightFormat = WeightFormat.FP32,
    seed: int = 0,
) -> TinyModel:
    """Write a model into a folder, which may not exist yet."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = RandomWeights(shape, seed)
    write_decoder(shape, weights, folder, weight_format)
    write_genai_config(folder, shape, TextFacts(architecture, [END], BEGIN, BEGIN))
    write_tiny_tokenizer(folder)
    return TinyModel(folder, shape, weights)
