"""Declares the sizes and traits of a llama-like decoder."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.language.decoder_graph.rope import Rope


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """A decoder with RMS norms, rotary embeddings, grouped-query attention and gated feed-forward."""

    layers: int
    hidden_size: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward_size: int
    vocabulary_size: int
    context_length: int
    rope: Rope
    epsilon: float = 1e-5
    sliding_window: int = 0
    """How many tokens back a token sees, itself counted; 0: all of them."""
    attention_biases: bool = False
    """Whether queries, keys and values have biases, as those of Qwen2 have."""
    head_norms: bool = False
    """Whether each head's queries and keys are normed, as those of Qwen3 are."""
    tied: bool = False
    """Whether the table of embeddings is the head, too."""

    @property
    def query_size(self) -> int:
        """The width of all queries of a token."""
        return self.heads * self.head_size

    @property
    def kv_size(self) -> int:
        """The width of all keys of a token, and of all values."""
        return self.kv_heads * self.head_size
