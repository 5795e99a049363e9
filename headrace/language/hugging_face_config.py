"""Reads config.json, generation_config.json and tokenizer_config.json, as Hugging Face writes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headrace.language.language_files import (
    Config,
    integer,
    number,
    part,
    read_config,
    text,
    token_ids,
    unsupported,
)
from headrace.state.language_records import SamplingDefaults

_NO_LIMIT = 10**9
"""What tokenizer_config.json says is more than this where nobody knew a model's longest text."""
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx", "seq_length")
_ATTENTION_LAYERS = ("attention", "full_attention", "sliding_attention")


@dataclass(frozen=True, slots=True)
class HuggingFaceConfig:
    """The contents of the three files together; 0, '' and () where they say nothing."""

    model_type: str = ""
    architecture: str = ""
    """The class in transformers, such as `LlamaForCausalLM`."""
    vocabulary_size: int = 0
    context_length: int = 0
    layers: int = 0
    kv_heads: int = 0
    head_size: int = 0
    sliding_window: int = 0
    bos_token: int | None = None
    pad_token: int | None = None
    end_tokens: tuple[int, ...] = ()
    end_text: str = ""
    """The end token as a text; of use where no number is given."""
    sampling: SamplingDefaults = SamplingDefaults()


def read_hugging_face_config(folder: Path) -> HuggingFaceConfig:
    """Return what the files in a folder say. Raises InvalidArgument (LANGUAGE_FILES_INVALID)."""
    config = read_config(folder / "config.json")
    generation = read_config(folder / "generation_config.json")
    tokenizer = read_config(folder / "tokenizer_config.json")
    model = {**config, **part(config, "text_config")}
    heads = integer(model, "num_attention_heads", "n_head", "n_heads")
    hidden = integer(model, "hidden_size", "n_embd", "d_model")
    architectures = config.get("architectures")
    return HuggingFaceConfig(
        model_type=text(model, "model_type"),
        architecture=str(architectures[0])
        if isinstance(architectures, list) and architectures
        else "",
        vocabulary_size=integer(model, "vocab_size"),
        context_length=_context_length(model, tokenizer),
        layers=integer(model, "num_hidden_layers", "n_layer", "n_layers"),
        kv_heads=integer(model, "num_key_value_heads") or heads,
        head_size=integer(model, "head_dim") or (hidden // heads if heads else 0),
        sliding_window=_sliding_window(model),
        bos_token=_first(generation, model, "bos_token_id"),
        pad_token=_first(generation, model, "pad_token_id"),
        end_tokens=token_ids(generation, "eos_token_id") or token_ids(model, "eos_token_id"),
        end_text=_token_text(tokenizer, "eos_token"),
        sampling=_sampling(generation),
    )


def check_layer_types(folder: Path) -> None:
    """Pass if all layers keep keys and values. Raises InvalidArgument (GENERATION_UNSUPPORTED)."""
    config = read_config(folder / "config.json")
    listed = config.get("layer_types")
    other = (
        [one for one in listed if one not in _ATTENTION_LAYERS] if isinstance(listed, list) else []
    )
    if other:
        raise unsupported(
            f"config.json has layers of the type {str(other[0])[:80]!r}, which keep another state than "
            "keys and values"
        )
    if config.get("is_encoder_decoder") is True:
        raise unsupported("config.json says is_encoder_decoder: only decoders are served")


def _context_length(model: Config, tokenizer: Config) -> int:
    said = integer(model, *_CONTEXT_KEYS)
    longest = integer(tokenizer, "model_max_length")
    return said or (longest if longest < _NO_LIMIT else 0)


def _sliding_window(model: Config) -> int:
    return 0 if model.get("use_sliding_window") is False else integer(model, "sliding_window")


def _first(one: Config, other: Config, key: str) -> int | None:
    return next(iter((*token_ids(one, key), *token_ids(other, key))), None)


def _token_text(tokenizer: Config, key: str) -> str:
    return text(tokenizer, key) or text(part(tokenizer, key), "content")


def _sampling(generation: Config) -> SamplingDefaults:
    """Return what generation_config.json wishes; where it says do_sample false, the penalty alone."""
    penalty = number(generation, "repetition_penalty")
    if generation.get("do_sample") is False:
        return SamplingDefaults(repetition_penalty=penalty)
    return SamplingDefaults(
        temperature=number(generation, "temperature"),
        top_k=integer(generation, "top_k") or None,
        top_p=number(generation, "top_p"),
        min_p=number(generation, "min_p"),
        repetition_penalty=penalty,
    )
