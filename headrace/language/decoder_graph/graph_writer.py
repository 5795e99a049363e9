"""Collects the nodes and weights of a decoder's graph, each matrix in the chosen format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from tempfile import TemporaryFile

import numpy as np
import numpy.typing as npt
import onnx

from headrace.language.decoder_graph.blockwise import BLOCK_SIZE, quantized, signed_codes
from headrace.language.decoder_graph.external_tensors import ExternalTensors
from headrace.language.decoder_graph.weights import DecoderWeights, FloatArray
from headrace.language.weight_format import WeightFormat

MICROSOFT = "com.microsoft"
PART_ELEMENTS = 2**22
"""How many weights are in memory as floats at a time."""
_INT8_COMPUTE = 4
"""MatMulNBits' accuracy level at which activations are rounded to int8, row by row."""

Attribute = int | float | str | Sequence[int]


class GraphWriter:
    """The nodes and initializers written so far."""

    def __init__(
        self, weights: DecoderWeights, tensors: ExternalTensors, weight_format: WeightFormat
    ) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._weights = weights
        self._tensors = tensors
        self._format = weight_format

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: str | Sequence[str],
        domain: str = "",
        **attributes: Attribute,
    ) -> str:
        """Add a node, and return its first output."""
        named = [outputs] if isinstance(outputs, str) else list(outputs)
        name = f"/{named[0]}/{operator}"
        made = onnx.helper.make_node(operator, inputs, named, name, domain=domain)
        made.attribute.extend(
            onnx.helper.make_attribute(key, value) for key, value in attributes.items()
        )
        self.nodes.append(made)
        return named[0]

    def constant(self, name: str, array: npt.NDArray[np.generic]) -> str:
        """Add an array that is no weight, and return its name."""
        self.initializers.append(self._tensors.write(name, array))
        return name

    def vector(self, name: str, sources: Sequence[str]) -> str:
        """Add vectors, one behind the other, as they are."""
        return self.constant(name, np.concatenate([self._weights.read(each) for each in sources]))

    def embedding(self, source: str, rows: int, columns: int, tokens: str, output: str) -> str:
        """Add a table, and look tokens up in it."""
        if self._format is WeightFormat.FP32:
            name = f"{source}.weight"
            parts = self._parts(source, rows, columns)
            dtype = np.dtype(np.float32)
            self.initializers.append(self._tensors.write_parts(name, dtype, (rows, columns), parts))
            return self.node("Gather", [name, tokens], output)
        # A table is read a row at a time: 8 bits cost no time, and 4 would cost accuracy for nothing.
        coded = (signed_codes(part) for part in self._parts(source, rows, columns))
        table, scales = self._write_coded(source, np.dtype(np.int8), (rows, columns), coded)
        codes = self.node("Gather", [table, tokens], f"{output}.codes")
        steps = self.node("Gather", [scales, tokens], f"{output}.scales")
        operator = "DequantizeLinear"
        return self.node(operator, [codes, steps], output, axis=2, block_size=BLOCK_SIZE)

    def matmul(
        self,
        name: str,
        sources: Sequence[tuple[str, int]],
        columns: int,
        operand: str,
        output: str,
        *,
        sensitive: bool = True,
    ) -> str:
        """Multiply by matrices, given with their rows, whose outputs stand side by side.

        Those that are `sensitive` have 8 bits at least.
        """
        if self._format is WeightFormat.FP32:
            return self.node("MatMul", [operand, self._turned(name, sources, columns)], output)
        bits = 8 if sensitive else self._format.bits
        rows = sum(count for _, count in sources)
        parts = (part for source, count in sources for part in self._parts(source, count, columns))
        coded = (quantized(part, bits) for part in parts)
        shape = (rows, -(-columns // BLOCK_SIZE), BLOCK_SIZE * bits // 8)
        names = self._write_coded(name, np.dtype(np.uint8), shape, coded)
        attributes = {
            "K": columns,
            "N": rows,
            "bits": bits,
            "block_size": BLOCK_SIZE,
            "accuracy_level": _INT8_COMPUTE,
        }
        return self.node("MatMulNBits", [operand, *names], output, MICROSOFT, **attributes)

    def _turned(self, name: str, sources: Sequence[tuple[str, int]], columns: int) -> str:
        """Write a matrix as MatMul takes it: a column for each number that it makes."""
        named = f"{name}.weight"
        parts = (part for source, rows in sources for part in self._parts(source, rows, columns))
        shape = (columns, sum(rows for _, rows in sources))
        self.initializers.append(self._tensors.write_turned(named, shape, parts))
        return named

    def _write_coded(
        self,
        name: str,
        dtype: np.dtype[np.generic],
        shape: tuple[int, ...],
        coded: Iterable[tuple[npt.NDArray[np.generic], FloatArray]],
    ) -> tuple[str, str]:
        """Write the codes of a matrix part by part, then its scales, kept in a file until then."""
        with TemporaryFile() as kept:

            def codes() -> Iterator[npt.NDArray[np.generic]]:
                for part, scales in coded:
                    kept.write(np.ascontiguousarray(scales).data)
                    yield part

            tensor = self._tensors.write_parts(f"{name}.weight", dtype, shape, codes())
            self.initializers.append(tensor)
            kept.seek(0)
            scales = np.frombuffer(kept.read(), np.float32).reshape(shape[0], -1)
            self.constant(f"{name}.scales", scales)
        return f"{name}.weight", f"{name}.scales"

    def _parts(self, source: str, rows: int, columns: int) -> Iterator[FloatArray]:
        step = max(1, PART_ELEMENTS // columns)
        for start in range(0, rows, step):
            yield self._weights.read(source, start, min(rows, start + step))
