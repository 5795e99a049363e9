"""Scores tokens by the model's own logits, before anything is done to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headrace_inference.domain.generation.requests import TokenScore
from headrace_inference.domain.generation.tokens import candidates
from headrace_inference.domain.generation.tokens.sampling import Logits

LOWEST_LOGPROB = -9999.0
"""Of a token that cannot come: JSON knows no infinity."""


def token_score(row: Logits, token: int, top: int) -> TokenScore:
    """Return the log-probability of a token, and the `top` most probable ones with theirs."""
    values = row.astype(np.float32, copy=False)
    peak = float(values.max())
    total = peak + float(np.log(np.exp(values - peak).sum(dtype=np.float64)))
    best = _best(values, min(top, len(values)))
    logprobs = np.maximum(values[best].astype(np.float64) - total, LOWEST_LOGPROB)
    return TokenScore(
        token,
        _logprob(float(values[token]), total),
        tuple(zip(best.tolist(), logprobs.tolist(), strict=True)),
    )


def prompt_scores(rows: Logits, tokens: Sequence[int], top: int) -> list[TokenScore]:
    """Score each token by its row: what the model expected in its place."""
    return [token_score(row, token, top) for row, token in zip(rows, tokens, strict=True)]


def _best(values: candidates.Values, count: int) -> candidates.Places:
    """The largest first; of equals the lower token."""
    if count == 0:
        return np.empty(0, dtype=np.intp)
    kept = candidates.top_k(values, count)
    return kept[np.argsort(-values[kept], kind="stable")]


def _logprob(logit: float, total: float) -> float:
    return max(logit - total, LOWEST_LOGPROB)
