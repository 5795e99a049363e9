"""Operators whose sizes depend on values, or whose values depend on all rows."""

from __future__ import annotations

from headrace_registry.adapters.batch_invariance.nodes import MICROSOFT, Node, Result, rule
from headrace_registry.adapters.batch_invariance.values import CONSTANT, NotProvenError

RANDOM = (
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
    "Multinomial",
    "Bernoulli",
)
COUNTING = ("NonZero", "Unique", "Compress", "NonMaxSuppression")


@rule("DynamicQuantizeLinear")
@rule("DynamicQuantizeMatMul DynamicQuantizeLSTM", MICROSOFT)
def dynamic_quantization(_: Node) -> Result:
    raise NotProvenError("takes one scale over all rows")


@rule(" ".join(COUNTING))
def counting(_: Node) -> Result:
    raise NotProvenError("gives as many rows as it finds")


@rule(" ".join(RANDOM))
def random(_: Node) -> Result:
    raise NotProvenError("gives random values, which differ from run to run")


@rule("Dropout")
def dropout(node: Node) -> Result:
    training = node.get(2)
    is_off = training is None or (
        training.kind is CONSTANT and training.data is not None and not bool(training.data)
    )
    if not is_off or node.opset < 7:
        raise NotProvenError("may be in training mode, which is random")
    return node.given(0) if node.given(0).kind is CONSTANT else node.rows_at(0)
