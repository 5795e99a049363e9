"""Quantises graphs to 8 bits: weights alone, or activations by ranges of a sample, too."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.lifecycle.optimisation.artifact_folders import MOST_IN_ONE_FILE
from headrace.lifecycle.optimisation.graph_editing import (
    GraphIndex,
    float_weights,
    name_nodes,
    not_offered,
)
from headrace.lifecycle.optimisation.quiet import quietly

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

STATIC_OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Gather")
"""Operators whose weights are most of a graph."""
_OPERATOR_SET = 13
PASSING_OPERATORS = (
    *("Relu", "Clip", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "Add", "Concat"),
    *("Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Resize", "Split"),
)
"""Those between convolutions: where they stay in floats, each costs two conversions."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What a quantisation leaves open."""

    per_channel: bool = True
    """A scale for each output of a layer, not one for all of its weights."""
    reduce_range: bool = False
    """Weights of 7 bits: for processors whose sums of 8 bit products overflow."""
    without: tuple[str, ...] = ()
    """Names of nodes that stay as they are."""


def prepared(model: ModelProto, *, static: bool) -> ModelProto:
    """The graph with its shapes inferred and its simple nodes fused, as quantisers want it."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    copy = _with_operator_set(model)
    with tempfile.TemporaryDirectory(prefix="headrace-optimise-") as folder, quietly():
        path = Path(folder) / "prepared.onnx"
        large = copy.ByteSize() > MOST_IN_ONE_FILE
        for skip_symbolic in (False, True):
            try:
                quant_pre_process(
                    copy,
                    str(path),
                    skip_symbolic_shape=skip_symbolic,
                    skip_optimization=not static,
                    auto_merge=True,
                    save_as_external_data=large,
                    all_tensors_to_one_file=large,
                )
                break
            except Exception:  # noqa: BLE001 - the tool raises what it likes; without symbols it asks for less
                if skip_symbolic:
                    return _named(copy)
        import onnx

        return _named(onnx.load(path))


def _with_operator_set(model: ModelProto) -> ModelProto:
    """A copy of the graph with the operators that scales for each channel take."""
    from onnx import version_converter

    versions = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    if versions and versions[0] < _OPERATOR_SET:
        return version_converter.convert_version(model, _OPERATOR_SET)
    copy = type(model)()
    copy.CopyFrom(model)
    return copy


def _named(model: ModelProto) -> ModelProto:
    name_nodes(model)
    return model


def dynamic(model: ModelProto, choices: Choices) -> ModelProto:
    """The prepared graph with 8 bit weights. Raises FailedPrecondition (NOTHING_TO_OPTIMISE)."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    check_weights(model, "dynamic-int8", ("Conv", "Gemm", "MatMul", "Gather", "LSTM", "GRU"))
    with tempfile.TemporaryDirectory(prefix="headrace-optimise-") as folder, quietly():
        path = Path(folder) / "quantised.onnx"
        quantize_dynamic(
            model,
            path,
            per_channel=choices.per_channel,
            reduce_range=choices.reduce_range,
            weight_type=QuantType.QInt8 if not has_convolution(model) else QuantType.QUInt8,
            nodes_to_exclude=list(choices.without),
            use_external_data_format=model.ByteSize() > MOST_IN_ONE_FILE,
        )
        return onnx.load(path)


def static(model: ModelProto, ranges: Any, choices: Choices) -> ModelProto:
    """The prepared graph with 8 bit weights and activations, by ranges of its tensors."""
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    copy = type(model)()
    copy.CopyFrom(model)
    with quietly():
        quantiser = QDQQuantizer(
            copy,
            choices.per_channel,
            choices.reduce_range,
            QuantType.QInt8,
            QuantType.QUInt8,
            ranges,
            [],
            list(choices.without),
            list(static_operators(model)),
            {"MatMulConstBOnly": True, "DedicatedQDQPair": False},
        )
        quantiser.quantize_model()
    made: ModelProto = quantiser.model.model
    return made


def static_operators(model: ModelProto) -> tuple[str, ...]:
    """The operators that are quantised: with convolutions, also what lies between them."""
    passing = PASSING_OPERATORS if has_convolution(model) else ()
    return (*STATIC_OPERATORS, *passing)


def has_convolution(model: ModelProto) -> bool:
    """Return whether there is a convolution in the graph."""
    return any(node.op_type in ("Conv", "ConvTranspose") for node in model.graph.node)


def weighted_nodes(model: ModelProto, operators: Sequence[str]) -> list[NodeProto]:
    """The nodes of these operators that have a constant of floats."""
    index = GraphIndex(model.graph)

    def has_weights(node: NodeProto) -> bool:
        values = (index.constant(name) for name in node.input if name)
        return any(each is not None and each.dtype == "float32" and each.ndim for each in values)

    return [node for node in model.graph.node if node.op_type in operators and has_weights(node)]


def check_weights(model: ModelProto, method: str, operators: Sequence[str]) -> None:
    """Pass where there is something to quantise. Raises FailedPrecondition (NOTHING_TO_OPTIMISE)."""
    if not float_weights(model):
        raise not_offered(f"{method}: the graph has no FP32 weights")
    if not weighted_nodes(model, operators):
        raise not_offered(f"{method}: none of {', '.join(operators)} in the graph has FP32 weights")
