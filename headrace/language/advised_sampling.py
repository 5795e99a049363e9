"""Takes over what a model's files advise on choosing tokens, as far as any request may ask for it."""

from __future__ import annotations

import math
from dataclasses import fields

from headrace.state.language_records import SamplingDefaults

_RANGES = {
    "temperature": (0.0, 2.0),
    "top_k": (0.0, 1e6),
    "top_p": (1e-6, 1.0),
    "min_p": (0.0, 1.0),
    "repetition_penalty": (1e-6, 100.0),
}


def proposed_sampling(advised: SamplingDefaults) -> SamplingDefaults:
    """Return what a model's files advise, without what no request may ask for either."""
    held = {one.name: getattr(advised, one.name) for one in fields(advised)}
    return SamplingDefaults(
        **{name: value for name, value in held.items() if _in_range(name, value)}
    )


def _in_range(name: str, value: float | None) -> bool:
    low, high = _RANGES[name]
    return value is not None and math.isfinite(value) and low <= value <= high
