"""Opens decoders: a session, and the kind of runs that its graph can do."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from headrace.language.decoder_config import DecoderConfig, read_decoder_config
from headrace.language.graph_ends import ends_of_session
from headrace_inference.adapters.generation.copied_runs import CopiedRuns
from headrace_inference.adapters.generation.decoder_session import DecoderSession, Runs
from headrace_inference.adapters.generation.element_dtypes import dtype_of
from headrace_inference.adapters.generation.kv_arena import KvArena
from headrace_inference.adapters.generation.shared_buffer_runs import SharedBufferRuns
from headrace_inference.adapters.runtime import session_options
from headrace_inference.adapters.runtime.ort_errors import RUNTIME_ERRORS
from headrace_inference.domain.scheduling.requests import Array

logger = logging.getLogger(__name__)

_TRIED_TOKENS = 4
_TOLERANCE = 0.02
"""The part of their spread by which logits of two kinds of runs may differ: kernels round otherwise."""

OpenRuns = Callable[[Any, DecoderConfig, KvArena], Runs]


def decoder_of_session(session: Any, folder: Path, rows: int) -> DecoderSession:
    """Return the decoder that an open session is, whose files lie in a folder; the caller closes it.

    Whether past and present may be one buffer is found out by a trial: names tell it of some graphs only.
    Raises InvalidArgument (LANGUAGE_FILES_INVALID, GENERATION_UNSUPPORTED), Unimplemented
    (DATATYPES_UNSUPPORTED).
    """
    config = read_decoder_config(folder, ends_of_session(session))
    runs = SharedBufferRuns if _can_share_buffer(session, config) else CopiedRuns
    logger.info(
        "decoder opened", extra={"runs": runs.__name__, "architecture": config.architecture}
    )
    arena = _arena(config, rows)
    return DecoderSession(config, arena, runs(session, config, arena))


def _arena(config: DecoderConfig, rows: int) -> KvArena:
    return KvArena(
        2 * config.layers,
        rows,
        config.kv_heads,
        config.head_size,
        dtype_of(config.kv_datatype),
        config.context_length,
    )


def _can_share_buffer(session: Any, config: DecoderConfig) -> bool:
    """Try both kinds: the same tokens must have the same logits."""
    if config.ends.use_cache_branch or not config.ends.attention_mask:
        return False
    copied = _tried(CopiedRuns, session, config)
    try:
        shared = _tried(SharedBufferRuns, session, config)
    except RUNTIME_ERRORS:
        return False
    spread = float(copied.max() - copied.min())
    return bool(np.abs(shared - copied).max() <= _TOLERANCE * spread)


def _tried(runs: OpenRuns, session: Any, config: DecoderConfig) -> Array:
    """Read a prompt and decode a token in each of two rows: the logits."""
    arena = _arena(config, 2)
    arena.grow(_TRIED_TOKENS, [0, 0])
    tried = runs(session, config, arena)
    handle = session_options.run_options()
    tokens = [token % config.vocabulary_size for token in range(1, _TRIED_TOKENS + 1)]
    first = tried.extend(0, tokens[:-1], 0, handle, every=False).copy()
    tried.extend(1, tokens[:-2], 0, handle, every=False)
    second = tried.decode(tokens[-2:], [_TRIED_TOKENS - 1, _TRIED_TOKENS - 2], handle).copy()
    tried.forget()
    arena.release()
    return np.concatenate([first, second])
