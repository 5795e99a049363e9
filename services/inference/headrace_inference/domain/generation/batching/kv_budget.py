"""Chooses how many keys and values a version keeps, where its serving config leaves that to the replica."""

from __future__ import annotations

from dataclasses import replace

from headrace.state.language_records import GenerationConfig

MAX_SEQUENCES = 32
"""Sequences that decode together: one more makes the step of all others longer, by less and less."""

USUAL_PART, MOST_PART = 8, 4
"""Of the memory there is: an eighth at most is for the keys and values of a version, a quarter where one
sequence as long as the context would not fit in that."""


def chosen(
    config: GenerationConfig, context_length: int, kv_bytes_per_token: int, memory_bytes: int
) -> GenerationConfig:
    """The config with its open choices made, for a replica with so much memory.

    `kv_cache_bytes` is a bound, of which sequences take what they need: memory that nobody uses is free. No
    sequence is longer than what it keeps.
    """
    longest = min(config.context_length or context_length, context_length)
    sequences = config.max_sequences or MAX_SEQUENCES
    whole = longest * kv_bytes_per_token
    usual = min(sequences * whole, memory_bytes // USUAL_PART)
    least = min(whole, memory_bytes // MOST_PART)
    kept = config.kv_cache_bytes or max(usual, least, kv_bytes_per_token)
    return replace(
        config,
        max_sequences=sequences,
        kv_cache_bytes=kept,
        context_length=min(longest, max(1, kept // kv_bytes_per_token)),
    )


def mebibytes(size: int) -> str:
    """A size for people: in MiB, from 10 GiB in GiB."""
    return f"{size / 2**20:.4g} MiB" if size < 10 * 2**30 else f"{size / 2**30:.3g} GiB"
