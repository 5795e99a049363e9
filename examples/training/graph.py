"""Writes an ONNX graph node by node, where an exporter has no word for what the graph should do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

OPSET, ML_OPSET, IR_VERSION = 18, 3, 9
FLOAT, INT64, TEXT = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
BATCH = "batch"
MICROSOFT = "com.microsoft"
"""Operators that every build of ONNX Runtime has beside ONNX's own."""
DOMAINS = {"": OPSET, "ai.onnx.ml": ML_OPSET, MICROSOFT: 1}


class Graph:
    """A graph in the making: every node gives the name of what it computes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: int, *sizes: int | str) -> str:
        """An input of a row for each caller: `sizes` are those behind the batch."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, [BATCH, *sizes]))
        return name

    def constant(self, values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Weights and other values that are fixed."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """What an operator makes of its inputs."""
        return self.nodes(operator, *inputs, count=1, domain=domain, **attributes)[0]

    def nodes(
        self, operator: str, *inputs: str, count: int, domain: str = "", **attributes: Any
    ) -> Sequence[str]:
        """All that an operator makes which has several outputs."""
        made = [f"{operator.lower()}_{len(self._nodes)}_{place}" for place in range(count)]
        self._nodes.append(helper.make_node(operator, inputs, made, domain=domain, **attributes))
        return made

    def index(self, value: str, keys: Sequence[str] | Sequence[int], *, unknown: int) -> str:
        """The place of each value among keys, texts or whole numbers; `unknown` for all others."""
        kind = "keys_strings" if isinstance(keys[0], str) else "keys_int64s"
        return self.node(
            "LabelEncoder",
            value,
            domain="ai.onnx.ml",
            **{kind: list(keys)},
            values_int64s=list(range(len(keys))),
            default_int64=unknown,
        )

    def include(self, model: onnx.ModelProto, *given: str) -> Sequence[str]:
        """The nodes of an exported model, given its inputs; the names of what it makes."""
        inner = compose.add_prefix(model, f"{model.graph.name or 'model'}/").graph
        for value, taken in zip(given, inner.input, strict=True):
            self._nodes.append(helper.make_node("Identity", [value], [taken.name]))
        self._nodes += inner.node
        self._constants += inner.initializer
        return [output.name for output in inner.output]

    def output(self, name: str, value: str, kind: int, *sizes: int | str) -> None:
        """Give a value to callers."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, kind, [BATCH, *sizes]))

    def model(self, description: str) -> onnx.ModelProto:
        """The graph as a checked model."""
        graph = helper.make_graph(
            self._nodes,
            self._name,
            self._inputs,
            self._outputs,
            self._constants,
            doc_string=description,
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in DOMAINS.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        onnx.checker.check_model(model, full_check=True)
        return model
