"""Quantises the weights of matrix products to 4 bits, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.lifecycle.extras import from_extra
from headrace.lifecycle.optimisation.graph_editing import GraphIndex, name_nodes, not_offered
from headrace.lifecycle.optimisation.quiet import quietly

if TYPE_CHECKING:
    from onnx import ModelProto

BLOCK = 32
"""Weights that share a scale: smaller blocks err less, and take 0.5 bit a weight more with each halving."""


def four_bit(model: ModelProto) -> ModelProto:
    """The graph with 4 bit weights in matrix products. Raises FailedPrecondition (NOTHING_TO_OPTIMISE)."""
    from_extra("onnx_ir", "int4")
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    from onnxruntime.quantization.onnx_model import ONNXModel

    copy = type(model)()
    copy.CopyFrom(model)
    name_nodes(copy)
    ONNXModel(copy).replace_gemm_with_matmul()
    if not _products(copy):
        raise not_offered(
            "int4: the graph has no matrix product with FP32 weights of two dimensions"
        )
    with quietly():
        quantiser = MatMulNBitsQuantizer(copy, bits=4, block_size=BLOCK, is_symmetric=False)
        quantiser.process()
    made: ModelProto = quantiser.model.model
    return made


def _products(model: ModelProto) -> int:
    index = GraphIndex(model.graph)
    weights = (
        index.constant(node.input[1]) for node in model.graph.node if node.op_type == "MatMul"
    )
    return sum(1 for each in weights if each is not None and each.ndim == 2)
