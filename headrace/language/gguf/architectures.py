"""Reads the shape of a decoder from a GGUF file, and refuses by name what would answer otherwise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.language.decoder_graph import DecoderShape, Rope
from headrace.language.decoder_graph.rope import linear_divisors
from headrace.language.gguf.gguf_file import GgufFile
from headrace.language.gguf.metadata import Metadata
from headrace.language.gguf.refusals import invalid, unsupported

ROPE_FACTORS = "rope_freqs.weight"
MAX_CONTEXT = 2**20
"""The tables of positions of a longer one would take more memory than weights do."""
_OTHER_MATHEMATICS = (
    "attention.scale",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "embedding_scale",
    "residual_scale",
    "logit_scale",
    "attention.max_alibi_bias",
    "attention.clamp_kqv",
)
"""Keys of families that compute something else under the same names of tensors."""


@dataclass(frozen=True, slots=True)
class Family:
    """The traits that set an architecture apart."""

    kind: str
    """How genai_config.json calls it."""
    permuted: bool = False
    """Whether the rows of queries and keys are interleaved, pair by pair, as llama.cpp turns them."""


FAMILIES: Mapping[str, Family] = {
    "llama": Family("llama", permuted=True),
    "qwen2": Family("qwen2"),
    "qwen3": Family("qwen3"),
}


def family_of(metadata: Metadata) -> Family:
    """Return the architecture's family. Raises InvalidArgument (GGUF_UNSUPPORTED)."""
    kind, parts = metadata.text("general.type", "model"), metadata.whole("split.count", 0)
    if kind != "model":
        raise unsupported(f"a file of type {kind!r}", "whole models can be")
    if parts > 1:
        raise unsupported(
            f"one of {parts} parts of a model",
            "whole files can be; llama.cpp's llama-gguf-split --merge joins parts",
        )
    family = FAMILIES.get(metadata.architecture)
    if family is None:
        raise unsupported(
            f"the architecture {metadata.architecture!r}",
            f"{', '.join(FAMILIES)} can be, which Mistral, SmolLM and others share",
        )
    experts = metadata.whole(metadata.of_family("expert_count"), 0)
    if experts:
        raise unsupported(f"a mixture of {experts} experts", "models without experts can be")
    for key in _OTHER_MATHEMATICS:
        if metadata.has(metadata.of_family(key)):
            raise unsupported(f"a model with {metadata.of_family(key)}", "plain ones can be")
    return family


def shape_of(file: GgufFile, metadata: Metadata, context: int | None) -> DecoderShape:
    """Return the sizes of the decoder, with a context of at most `context`."""
    own = metadata.of_family
    heads = _whole(metadata, "attention.head_count")
    hidden = _whole(metadata, "embedding_length")
    kv_heads = metadata.whole(own("attention.head_count_kv"), heads)
    head_size = metadata.whole(own("attention.key_length"), hidden // heads)
    if not kv_heads or heads % kv_heads:
        raise invalid(f"{heads} heads do not share {kv_heads} heads of keys and values evenly")
    if metadata.whole(own("attention.value_length"), head_size) != head_size:
        raise unsupported("a model whose values are wider than its keys", "equal ones can be")
    if not head_size or head_size % 16:
        raise unsupported(f"a model with heads of {head_size}", "multiples of 16 can be")
    embedding = file.tensors.get("token_embd.weight")
    if embedding is None:
        raise invalid("it has no tensor token_embd.weight")
    layers = _whole(metadata, "block_count")
    if layers > len(file.tensors):
        raise invalid(f"it has {len(file.tensors)} tensors for {layers} layers")
    return DecoderShape(
        layers=layers,
        hidden_size=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_size=head_size,
        feed_forward_size=_whole(metadata, "feed_forward_length"),
        vocabulary_size=embedding.rows,
        context_length=_context(metadata, context),
        rope=_rope(file, metadata, head_size),
        epsilon=metadata.number(own("attention.layer_norm_rms_epsilon")),
        sliding_window=metadata.whole(own("attention.sliding_window"), 0),
        attention_biases="blk.0.attn_q.bias" in file.tensors,
        head_norms="blk.0.attn_q_norm.weight" in file.tensors,
        tied="output.weight" not in file.tensors,
    )


def _whole(metadata: Metadata, key: str) -> int:
    found = metadata.whole(metadata.of_family(key))
    if not 0 < found < 2**24:
        raise invalid(f"{metadata.of_family(key)} is {found}")
    return found


def _context(metadata: Metadata, asked: int | None) -> int:
    most = _whole(metadata, "context_length")
    if asked is None and most > MAX_CONTEXT:
        raise unsupported(
            f"a context of {most} tokens", f"up to {MAX_CONTEXT} can be: ask for fewer"
        )
    if asked is not None and not 1 <= asked <= min(most, MAX_CONTEXT):
        raise unsupported(
            f"a context of {asked} tokens", f"the model's is {most}, and {MAX_CONTEXT} the most"
        )
    return most if asked is None else asked


def _rope(file: GgufFile, metadata: Metadata, head_size: int) -> Rope:
    own = metadata.of_family
    turned = metadata.whole(own("rope.dimension_count"), head_size)
    if turned != head_size:
        raise unsupported(
            f"a model that turns {turned} of a head's {head_size} numbers", "all or none can be"
        )
    scaling = metadata.text(own("rope.scaling.type"), "none")
    if scaling not in ("none", "linear"):
        raise unsupported(
            f"positions scaled by {scaling!r}", "linear scaling and that of Llama 3 can be"
        )
    divisors: tuple[float, ...] = ()
    if metadata.has(own("rope.scale_linear")) or scaling == "linear":
        factor = metadata.number(
            own("rope.scaling.factor"), metadata.number(own("rope.scale_linear"), 1.0)
        )
        divisors = linear_divisors(factor, head_size)
    if ROPE_FACTORS in file.tensors:
        factors = file.rows(file.tensors[ROPE_FACTORS], slice(None)).reshape(-1)
        if divisors or len(factors) != head_size // 2 or factors.min() <= 0:
            raise invalid(f"{ROPE_FACTORS} does not fit heads of {head_size}")
        divisors = tuple(map(float, factors))
    base = metadata.number(own("rope.freq_base"), 10_000.0)
    if not math.isfinite(base) or base <= 1:
        raise invalid(f"{own('rope.freq_base')} is {base}")
    return Rope(base, divisors)
