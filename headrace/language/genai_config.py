"""Reads genai_config.json, as the model builder of onnxruntime-genai writes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from headrace.language.language_files import (
    Config,
    integer,
    invalid,
    number,
    part,
    read_config,
    text,
    token_ids,
    unsupported,
)
from headrace.state.language_records import SamplingDefaults

GENAI_CONFIG = "genai_config.json"

_OTHER_PARTS = ("embedding", "vision", "speech", "encoder", "joiner", "vad", "draft", "mtp")
"""Sections of models that are made of more than one decoder."""
_ATTENTION_LAYERS = ("attention", "full_attention", "sliding_attention", "sliding_window_attention")


@dataclass(frozen=True, slots=True)
class GenaiConfig:
    """The contents of genai_config.json; 0, '' and () where it says nothing."""

    graph_path: str
    model_type: str = ""
    vocabulary_size: int = 0
    context_length: int = 0
    bos_token: int | None = None
    pad_token: int | None = None
    end_tokens: tuple[int, ...] = ()
    tokenizer_folder: str = ""
    layers: int = 0
    kv_heads: int = 0
    head_size: int = 0
    sliding_window: int = 0
    """What the model was trained to look back at most; the graph itself sees all tokens."""
    shares_buffer: bool = False
    sampling: SamplingDefaults = SamplingDefaults()
    input_names: Config | None = None
    output_names: Config | None = None


def read_genai_config(folder: Path) -> GenaiConfig | None:
    """Return what the file in a folder says; None where there is none.

    Raises InvalidArgument (LANGUAGE_FILES_INVALID, GENERATION_UNSUPPORTED).
    """
    path = folder / GENAI_CONFIG
    return read_genai_file(path) if path.is_file() else None


def read_genai_file(path: Path) -> GenaiConfig:
    """Return what a file of this form says. Raises as `read_genai_config` does."""
    config = read_config(path)
    model, search = part(config, "model"), part(config, "search")
    decoder = part(model, "decoder")
    _check_supported(model, decoder)
    return GenaiConfig(
        graph_path=_path(text(decoder, "filename") or "model.onnx", "model.decoder.filename"),
        model_type=text(model, "type"),
        vocabulary_size=integer(model, "vocab_size"),
        context_length=integer(model, "context_length"),
        bos_token=next(iter(token_ids(model, "bos_token_id")), None),
        pad_token=next(iter(token_ids(model, "pad_token_id")), None),
        end_tokens=token_ids(model, "eos_token_id"),
        tokenizer_folder=_path(text(model, "tokenizer_dir") or ".", "model.tokenizer_dir"),
        layers=integer(decoder, "num_hidden_layers"),
        kv_heads=integer(decoder, "num_key_value_heads"),
        head_size=integer(decoder, "head_size"),
        sliding_window=integer(part(decoder, "sliding_window"), "window_size"),
        shares_buffer=search.get("past_present_share_buffer") is True,
        sampling=_sampling(search),
        input_names=part(decoder, "inputs"),
        output_names=part(decoder, "outputs"),
    )


def _path(named: str, key: str) -> str:
    """Return a path inside the folder, '' for the folder itself."""
    path = PurePosixPath(named)
    if path.is_absolute() or ".." in path.parts or "\0" in named:
        raise invalid(f"{GENAI_CONFIG} says {key} {named[:200]!r}, which is outside of the folder")
    return "" if path == PurePosixPath(".") else path.as_posix()


def _check_supported(model: Config, decoder: Config) -> None:
    parts = [f"model.{name}" for name in _OTHER_PARTS if model.get(name)]
    if decoder.get("pipeline"):
        parts.append("model.decoder.pipeline")
    if parts:
        raise unsupported(
            f"{GENAI_CONFIG} has {', '.join(parts)}: it is made of several graphs, and one decoder "
            "graph with a KV cache is served"
        )
    if not decoder:
        raise unsupported(f"{GENAI_CONFIG} has no model.decoder")
    listed = decoder.get("layer_types")
    other = (
        [one for one in listed if one not in _ATTENTION_LAYERS] if isinstance(listed, list) else []
    )
    if other or decoder.get("conv_cache_size"):
        kind = repr(str(other[0])[:80]) if other else "with a convolution's cache"
        raise unsupported(
            f"{GENAI_CONFIG} has layers of the type {kind}, which keep another state than keys and values"
        )
    if part(decoder, "sliding_window").get("layers"):
        raise unsupported(
            f"{GENAI_CONFIG} has sliding_window.layers, whose keys and values are kept in a ring: export "
            "it with the model builder's --extra_options windowed_kv_cache=false"
        )
    if text(part(decoder, "session_options"), "custom_ops_library"):
        raise unsupported(
            f"{GENAI_CONFIG} names a custom_ops_library, and libraries are not loaded"
        )


def _sampling(search: Config) -> SamplingDefaults:
    """Return what the model's maker wishes: genai writes its own defaults beside it.

    Those are do_sample false, top_k 50, top_p 0 and factors of 1.
    """
    penalty = _unless(number(search, "repetition_penalty"), 1)
    if search.get("do_sample") is not True:
        return SamplingDefaults(repetition_penalty=penalty)
    top_k = integer(search, "top_k")
    return SamplingDefaults(
        temperature=_unless(number(search, "temperature"), 1),
        top_k=None if top_k in (0, 50) else top_k,
        top_p=_unless(number(search, "top_p"), 0, 1),
        min_p=_unless(number(search, "min_p"), 0),
        repetition_penalty=penalty,
    )


def _unless(value: float | None, *defaults: float) -> float | None:
    return None if value in defaults else value
