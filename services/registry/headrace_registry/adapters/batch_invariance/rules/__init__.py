"""Rules for operators, by families: what each makes of the axis that holds the rows."""

from headrace_registry.adapters.batch_invariance.rules import (
    attention,
    combining,
    control_flow,
    convolution,
    elementwise,
    indexing,
    matrices,
    normalization,
    recurrent,
    reduction,
    refusals,
    shaping,
    stretching,
    tables,
    texts,
)

NEVER_CONSTANT = {("", name) for name in (*refusals.RANDOM, "Dropout", "SequenceEmpty")}
"""Operators whose results are no constants though all inputs are: random values, and sequences."""

__all__ = [
    "NEVER_CONSTANT",
    "attention",
    "combining",
    "control_flow",
    "convolution",
    "elementwise",
    "indexing",
    "matrices",
    "normalization",
    "recurrent",
    "reduction",
    "refusals",
    "shaping",
    "stretching",
    "tables",
    "texts",
]
