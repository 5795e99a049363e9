"""Refuses what the serving config of a version says and has no meaning for its kind."""

from __future__ import annotations

from collections.abc import Iterator

from headrace import errors
from headrace.errors import FieldViolation
from headrace.state.language_records import (
    EncodingConfig,
    GenerationConfig,
    LanguageFacts,
    VersionKind,
)
from headrace.state.records import Batching, DeclaredShapes, ServingConfig


def check_text_config(config: ServingConfig, facts: LanguageFacts | None) -> None:
    """Pass if all that is set has a meaning for such a version; None: it takes tensors.

    Raises InvalidArgument (SERVING_CONFIG_INVALID).
    """
    kind = facts.kind if facts else VersionKind.TENSORS
    wrong = [*_other_sections(config, kind)]
    if facts is not None:
        wrong += _of_tensors(config, kind)
        wrong += _too_long(config, facts)
    if wrong:
        listed = "; ".join(f"{each.field}: {each.description}" for each in wrong)
        raise errors.InvalidArgument(
            "SERVING_CONFIG_INVALID",
            f"the version is one of {kind.value}, and its serving config says what has no meaning for it: "
            f"{listed}",
            facts={"kind": kind.value},
            violations=tuple(wrong),
        )


def _other_sections(config: ServingConfig, kind: VersionKind) -> Iterator[FieldViolation]:
    if config.generation != GenerationConfig() and kind is not VersionKind.GENERATION:
        yield _violation("generation", "of generative versions alone")
    encodes = kind in (VersionKind.EMBEDDING, VersionKind.RERANK)
    if config.encoding != EncodingConfig() and not encodes:
        yield _violation("encoding", "of versions that embed or rerank alone")


def _of_tensors(config: ServingConfig, kind: VersionKind) -> Iterator[FieldViolation]:
    if config.batching != Batching():
        yield _violation("batching", "rows of tensors alone are batched; texts share runs anyway")
    if config.instances > 1 and kind is VersionKind.GENERATION:
        yield _violation("instances", "all sequences decode in the steps of one instance")
    if config.warm_up.samples:
        yield _violation("warm_up.samples", "samples are tensors")
    if config.shapes != DeclaredShapes():
        yield _violation("shapes", "callers see texts, not the graph's tensors")
    if config.session.free_dimensions:
        yield _violation("session.free_dimensions", "texts are of any length")


def _too_long(config: ServingConfig, facts: LanguageFacts) -> Iterator[FieldViolation]:
    generation = config.generation
    for name in ("context_length", "default_max_tokens"):
        if getattr(generation, name) > facts.context_length:
            yield _violation(
                f"generation.{name}", f"the model's context has {facts.context_length} tokens"
            )
    if 0 < generation.kv_cache_bytes < facts.kv_bytes_per_token:
        yield _violation(
            "generation.kv_cache_bytes", f"one token takes {facts.kv_bytes_per_token} bytes"
        )


def _violation(path: str, why: str) -> FieldViolation:
    return FieldViolation(f"serving_config.{path}", why)
