"""Records of versions that take or give text, and of how they are served."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class VersionKind(enum.StrEnum):
    """The kind of work that callers ask a version for."""

    TENSORS = "tensors"
    """Tensors for tensors."""
    GENERATION = "generation"
    """Text that goes on where a prompt ends."""
    EMBEDDING = "embedding"
    """A vector for a text."""
    RERANK = "rerank"
    """A score for a query and a document."""


class Pooling(enum.StrEnum):
    """The way in which the vectors of a text's tokens become one."""

    MEAN = "mean"
    CLS = "cls"
    MAX = "max"
    LAST = "last"
    NONE = "none"
    """The graph pools by itself: its output has one vector a text."""


@dataclass(frozen=True, slots=True)
class LanguageFacts:
    """Facts found in the files of a version of text. Digests are SHA-256, 64 hex digits."""

    kind: VersionKind
    architecture: str
    """The family of the model as its config names it, such as `llama` or `bert`."""
    context_length: int
    """The most tokens of a prompt and its answer together, or of one text to embed."""
    vocabulary_size: int
    """The width of the logits; the tokenizer may know fewer tokens."""
    tokenizer_digest: str
    kv_bytes_per_token: int = 0
    """The bytes that one token keeps in the KV cache; 0 where there is none."""
    chat_template_digest: str = ""
    """Of the template's text; '' where there is none, and nobody can chat with the version."""
    capabilities: tuple[str, ...] = ()
    """What it can be asked for: `completion`, `chat`, `tools`, `embedding`, `rerank`."""
    weights: str = ""
    """The numbers that its weights are kept in, such as `int4`; '' where that is not known."""
    embedding_size: int = 0
    pooling: Pooling | None = None
    normalized: bool = False
    """Whether vectors are made as long as 1."""


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """Options of sampling where a request does not say; None: as OpenAI's, 1 or off."""

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """The settings of a generative version; 0 lets a replica choose.

    A replica never keeps more than `kv_cache_bytes` of keys and values of a version's sequences: what does
    not fit waits in the queue.
    """

    max_sequences: int = 0
    """How many sequences decode together, at most."""
    kv_cache_bytes: int = 0
    prefill_tokens_per_step: int = 0
    """How many tokens of prompts are read between two steps of those that decode, at most."""
    prefix_reuse: bool = True
    """Whether a prompt that begins as a recent one did is read from where they part."""
    context_length: int = 0
    """A limit below that of the model; 0: the model's."""
    default_max_tokens: int = 0
    """How many tokens an answer has at most where a request does not say; 0: to the context's end."""
    sampling: SamplingDefaults = SamplingDefaults()


@dataclass(frozen=True, slots=True)
class EncodingConfig:
    """The settings of a version that embeds or reranks; what is None is read from its files."""

    pooling: Pooling | None = None
    normalize: bool | None = None
    max_batch_tokens: int = 0
    """How many tokens share a run, padding counted; 0 lets a replica choose."""
    truncate: bool = False
    """Whether a text over the context length is cut, or refused."""
