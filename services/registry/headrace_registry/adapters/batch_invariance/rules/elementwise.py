"""Operators that treat each element for itself, and quantisation with constant scales."""

from __future__ import annotations

from collections.abc import Sequence

from headrace_registry.adapters.batch_invariance.nodes import (
    CLASSICAL,
    MICROSOFT,
    Node,
    Result,
    rule,
)
from headrace_registry.adapters.batch_invariance.sizes import product
from headrace_registry.adapters.batch_invariance.values import (
    CONSTANT,
    NotProvenError,
    Value,
    broadcast,
    constant,
)

_BINARY = "Add Sub Mul Div Pow Mod Equal Greater Less GreaterOrEqual LessOrEqual And Or Xor"
_VARIADIC = "Where Max Min Mean Sum PRelu BitShift BitwiseAnd BitwiseOr BitwiseXor StringConcat"
_UNARY = """Not Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast CastLike Ceil Celu Clip Cos Cosh
Elu Erf Exp Floor Gelu HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Log Mish Neg Reciprocal Relu
Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu
RegexFullMatch Affine ParametricSoftplus Scale ScaledTanh BitCast"""
_SCALES = {"QLinearAdd": (1, 2, 4, 5, 6, 7), "QLinearMul": (1, 2, 4, 5, 6, 7)}


@rule(f"{_BINARY} {_VARIADIC} {_UNARY}")
@rule(
    """Gelu QuickGelu FastGelu BiasGelu BiasAdd QLinearAdd QLinearMul QLinearSigmoid
    QLinearLeakyRelu""",
    MICROSOFT,
)
@rule("Binarizer LabelEncoder CategoryMapper", CLASSICAL)
def elementwise(node: Node) -> Result:
    if node.domain == "" and node.opset < 7 and len(node.inputs) > 1:
        raise NotProvenError("is of opset 6 or older, which broadcasts in another way")
    if node.operator.startswith("QLinear"):
        return broadcast(_without_scales(node))
    if node.operator == "CastLike":  # of the other operand it reads the type only
        first = node.given(0)
        return constant(first.shape) if first.kind is CONSTANT else broadcast([first])
    return broadcast(node.inputs)


def _without_scales(node: Node) -> Sequence[Value | None]:
    scales = _SCALES.get(node.operator, (1, 2, 3, 4))
    node.require_constants(but=[i for i in range(len(node.inputs)) if i not in scales])
    return [value for i, value in enumerate(node.inputs) if i not in scales]


@rule("QuantizeLinear DequantizeLinear", shapes=True)
@rule("QuantizeLinear DequantizeLinear", MICROSOFT)
def quantize(node: Node) -> Result:
    x = node.rows_at(0)
    node.require_constants(but=[0])
    scale = node.given(1).known_shape
    if len(scale) > 1 or node.attribute("block_size", 0):
        raise NotProvenError("has scales of blocks")
    if product(scale) != 1 and node.attribute("axis", 1) % x.rank == x.axis:
        raise NotProvenError("has a scale for each row")
    return x
