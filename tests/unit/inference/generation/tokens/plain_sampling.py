"""Says slowly and plainly which tokens may be drawn, for the tests to compare with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headrace_inference.domain.generation.requests import SamplingOptions


def chances(
    row: Sequence[float],
    options: SamplingOptions,
    prompt: Sequence[int] = (),
    generated: Sequence[int] = (),
    banned: Sequence[int] = (),
) -> dict[int, float]:
    """The tokens that may come, with their probabilities; none where none may."""
    logits = {token: value for token, value in enumerate(row) if token not in banned}
    for token, bias in options.logit_bias.items():
        if token in logits:
            logits[token] += bias
    for token in {*prompt, *generated} & logits.keys():
        factor = options.repetition_penalty
        logits[token] = logits[token] / factor if logits[token] > 0 else logits[token] * factor
    for token in set(generated) & logits.keys():
        logits[token] -= options.frequency_penalty * generated.count(token)
        logits[token] -= options.presence_penalty
    if not logits or max(logits.values()) == -math.inf:
        return {}
    if options.temperature == 0:
        return {max(logits, key=lambda token: (logits[token], -token)): 1.0}
    return _truncated(logits, options)


def _truncated(logits: dict[int, float], options: SamplingOptions) -> dict[int, float]:
    order = sorted(logits, key=lambda token: (-logits[token], token))
    order = order[: options.top_k or None]
    peak = logits[order[0]]
    kept = _normal({t: math.exp((logits[t] - peak) / options.temperature) for t in order})
    kept = _normal(_first(kept, order, options.top_p))
    largest = max(kept.values())
    kept = _normal({t: p for t, p in kept.items() if p >= options.min_p * largest})
    entropy = -sum(p * math.log(p) for p in kept.values() if p)
    by_surprise = sorted(
        (t for t in kept if kept[t]), key=lambda t: (abs(-math.log(kept[t]) - entropy), t)
    )
    return _normal(_first(kept, by_surprise, options.typical_p))


def _first(kept: dict[int, float], order: Sequence[int], share: float) -> dict[int, float]:
    if share >= 1:
        return kept
    total, taken = 0.0, {}
    for token in order:
        if token in kept:
            taken[token] = kept[token]
            total += kept[token]
        if total >= share:
            break
    return taken


def _normal(weights: dict[int, float]) -> dict[int, float]:
    total = sum(weights.values())
    return {token: weight / total for token, weight in weights.items()}
