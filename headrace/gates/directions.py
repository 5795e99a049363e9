"""Knows of which metrics smaller values are better."""

from __future__ import annotations

import re

_SMALLER = frozenset(
    {
        *(
            "loss",
            "mse",
            "rmse",
            "mae",
            "mape",
            "smape",
            "rmsle",
            "error",
            "errors",
            "ece",
            "mce",
            "brier",
        ),
        *("perplexity", "wer", "cer", "latency", "duration", "p50", "p90", "p95", "p99", "p999"),
        *("size", "bytes", "memory", "energy", "joules", "watts", "cost", "difference", "drift"),
        *(
            "seconds",
            "milliseconds",
            "microseconds",
            "ms",
            "hamming",
            "divergence",
            "logloss",
            "deviance",
            "missing",
        ),
    }
)
"""Parts of names, between '_', '.' and '-': `log_loss`, `latency.p99_ms`, `size_bytes`."""
_LARGER = frozenset({"per", "throughput", "reduction", "gain", "r2", "savings"})
"""`rows_per_second`, `error_reduction`: what would be smaller is divided by, or saved."""


def is_smaller_better(metric: str) -> bool:
    """Return whether smaller values are better, by the name: of losses, errors, times, sizes."""
    name = re.split(r"[\[{]", metric, maxsplit=1)[0].removeprefix("metrics.").lower()
    parts = set(re.split(r"[._\-/]", name))
    return bool(parts & _SMALLER) and not parts & _LARGER
