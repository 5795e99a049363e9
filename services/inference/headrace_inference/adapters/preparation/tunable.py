"""Tells what a version's config leaves to be chosen on this machine."""

from __future__ import annotations

from pathlib import Path

from headrace.state.records import ExecutionMode, ServingConfig, VersionRecord
from headrace_inference.adapters.runtime.synthetic_inputs import guesses

SECOND_SESSION_BYTES = 128 << 20
"""A larger version gets no session for lone requests: what kernels pack of its weights is there twice."""


def leaves_layout_open(config: ServingConfig) -> bool:
    """Return whether threads and instances may be chosen here."""
    session = config.session
    parallel = session.inter_op_threads > 1 or session.execution_mode is ExecutionMode.PARALLEL
    return not (parallel or (config.instances and session.intra_op_threads))


def is_open(record: VersionRecord) -> bool:
    """Return whether the config leaves something to choose, and what warms it is as large as real inputs.

    A version that is not to be warmed may not end on made-up inputs.
    """
    config, session = record.config, record.config.session
    batches = config.batching.max_batch_size > 0
    chosen = config.instances and session.intra_op_threads and not batches
    parallel = session.inter_op_threads > 1 or session.execution_mode is ExecutionMode.PARALLEL
    guessed = not config.warm_up.samples and guesses(record.signature, batches=batches)
    unwanted = not config.warm_up.samples and not config.warm_up.runs
    return not (chosen or parallel or guessed or unwanted)


def has_two_sessions(record: VersionRecord, saved: Path | None) -> bool:
    """Return whether lone requests may have a session of their own: with mapped weights, and few."""
    return saved is not None and record.size_bytes <= SECOND_SESSION_BYTES
