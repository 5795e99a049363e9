"""Gates of models as messages, and back: pure functions."""

from __future__ import annotations

from headrace.registry.v1 import model_pb2
from headrace.state.gate_records import GateComparison, GateRecord


def gate_to_proto(gate: GateRecord) -> model_pb2.Gate:
    """A gate as its message."""
    comparisons = (
        model_pb2.Gate.Comparison(
            metric=each.metric,
            than=each.than,
            margin=each.margin,
            smaller_is_better=each.smaller_is_better,
        )
        for each in gate.no_worse_than
    )
    return model_pb2.Gate(
        require=gate.require,
        no_worse_than=comparisons,
        data_digest=gate.data_digest,
        aliases=gate.aliases,
    )


def gate_from_proto(proto: model_pb2.Gate) -> GateRecord | None:
    """The gate of a message; None of one that demands nothing."""
    comparisons = (
        GateComparison(each.metric, each.than, each.margin, each.smaller_is_better)
        for each in proto.no_worse_than
    )
    gate = GateRecord(
        tuple(proto.require), tuple(comparisons), proto.data_digest, tuple(proto.aliases)
    )
    return None if gate.is_open else gate
