"""Converts the two sections of a serving config that say how versions of text are served."""

from __future__ import annotations

from headrace.conversion.reading import Reader
from headrace.state.language_records import (
    EncodingConfig,
    GenerationConfig,
    Pooling,
    SamplingDefaults,
)
from headrace.type.v1 import language_pb2, serving_config_pb2
from headrace.type.v1.serving_config_pb2 import ServingConfig as ConfigMessage

MAX_SEQUENCES = 4096
MAX_TOKENS = 10_000_000
MAX_TOKENS_PER_STEP = 1_000_000
MAX_KV_CACHE_BYTES = 1 << 50
MAX_TOP_K = 1_000_000
MAX_TEMPERATURE = 2.0
MAX_PENALTY = 100.0
_LEAST = 1e-6
"""Of what has to be over 0."""


def generation_to_proto(config: GenerationConfig) -> ConfigMessage.Generation | None:
    """The section as its message; None where nothing is said."""
    if config == GenerationConfig():
        return None
    sampling = config.sampling
    return serving_config_pb2.ServingConfig.Generation(
        max_sequences=config.max_sequences,
        kv_cache_bytes=config.kv_cache_bytes,
        prefill_tokens_per_step=config.prefill_tokens_per_step,
        prefix_reuse=config.prefix_reuse,
        context_length=config.context_length,
        default_max_tokens=config.default_max_tokens,
        sampling=serving_config_pb2.ServingConfig.Generation.Sampling(
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            min_p=sampling.min_p,
            repetition_penalty=sampling.repetition_penalty,
        ),
    )


def generation_from_proto(
    reader: Reader, proto: ConfigMessage.Generation, default: GenerationConfig, path: str
) -> GenerationConfig:
    """Return what the message sets, over `default`."""

    def number(name: str, most: int) -> int:
        return reader.number(proto, name, getattr(default, name), (0, most), path)

    return GenerationConfig(
        max_sequences=number("max_sequences", MAX_SEQUENCES),
        kv_cache_bytes=number("kv_cache_bytes", MAX_KV_CACHE_BYTES),
        prefill_tokens_per_step=number("prefill_tokens_per_step", MAX_TOKENS_PER_STEP),
        prefix_reuse=reader.flag(proto, "prefix_reuse", default=default.prefix_reuse),
        context_length=number("context_length", MAX_TOKENS),
        default_max_tokens=number("default_max_tokens", MAX_TOKENS),
        sampling=_sampling_from_proto(reader, proto.sampling, default.sampling, f"{path}.sampling"),
    )


def _sampling_from_proto(
    reader: Reader, proto: ConfigMessage.Generation.Sampling, default: SamplingDefaults, path: str
) -> SamplingDefaults:
    def real(name: str, least: float, most: float) -> float | None:
        return reader.real(proto, name, getattr(default, name), (least, most), path)

    top_k = reader.number(proto, "top_k", default.top_k or 0, (0, MAX_TOP_K), path)
    return SamplingDefaults(
        temperature=real("temperature", 0, MAX_TEMPERATURE),
        top_k=top_k if proto.HasField("top_k") else default.top_k,
        top_p=real("top_p", _LEAST, 1),
        min_p=real("min_p", 0, 1),
        repetition_penalty=real("repetition_penalty", _LEAST, MAX_PENALTY),
    )


def encoding_to_proto(config: EncodingConfig) -> ConfigMessage.Encoding | None:
    """The section as its message; None where nothing is said."""
    if config == EncodingConfig():
        return None
    return serving_config_pb2.ServingConfig.Encoding(
        pooling=f"POOLING_{config.pooling.name}" if config.pooling else None,
        normalize=config.normalize,
        max_batch_tokens=config.max_batch_tokens,
        truncate=config.truncate,
    )


def encoding_from_proto(
    reader: Reader, proto: ConfigMessage.Encoding, default: EncodingConfig, path: str
) -> EncodingConfig:
    """Return what the message sets, over `default`."""
    poolings = {getattr(language_pb2, f"POOLING_{each.name}"): each for each in Pooling}
    if proto.pooling and proto.pooling not in poolings:
        names = ", ".join(f"POOLING_{each.name}" for each in Pooling)
        reader.wrong(f"{path}.pooling", f"{proto.pooling} must be one of {names}")
    return EncodingConfig(
        pooling=poolings.get(proto.pooling, default.pooling),
        normalize=proto.normalize if proto.HasField("normalize") else default.normalize,
        max_batch_tokens=reader.number(
            proto, "max_batch_tokens", default.max_batch_tokens, (0, MAX_TOKENS), path
        ),
        truncate=reader.flag(proto, "truncate", default=default.truncate),
    )
