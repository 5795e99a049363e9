"""Batch invariance: whether a graph gives each row what it gives it alone, proven and then tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from headrace.state.records import Signature
from headrace_registry.adapters.batch_invariance.analysis import analyse
from headrace_registry.adapters.batch_invariance.trial import find_fault
from headrace_registry.domain.decisions.default_config import (
    BatchInvariance,
    reason_against_batching,
)

if TYPE_CHECKING:
    from onnx import ModelProto

Prover: TypeAlias = "Callable[[ModelProto], BatchInvariance]"

_ROUNDING = ("QuantizeLinear", "QLinear", "MatMulInteger", "ConvInteger")


def examine(
    model: ModelProto, session: Any, signature: Signature, proof: BatchInvariance
) -> BatchInvariance:
    """The proof, with what a trial saw against it; there is none where batching is ruled out anyway."""
    if reason_against_batching(signature, proof):
        return proof
    quantized = any(node.op_type.startswith(_ROUNDING) for node in model.graph.node)
    return replace(proof, obstacle=find_fault(session, signature, quantized=quantized))


__all__ = ["Prover", "analyse", "examine"]
