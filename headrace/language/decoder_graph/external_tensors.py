"""Appends tensors to a graph's file of external data, so that none of them is held in memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import onnx

from headrace.language.decoder_graph.weights import FloatArray

ALIGNMENT = 4096
"""Tensors begin on a page, so that runtimes can map them."""
INLINE_BYTES = 1024
"""Smaller ones stay in the graph, where ONNX Runtime's shape inference sees them."""


class ExternalTensors:
    """Tensors written one after the other. Closed by leaving its block."""

    def __init__(self, path: Path) -> None:
        self._location = path.name
        self._file = path.open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, name: str, array: npt.NDArray[np.generic]) -> onnx.TensorProto:
        """Write a whole array; return the tensor that the graph names."""
        if array.nbytes < INLINE_BYTES:
            return onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)
        return self.write_parts(name, array.dtype, array.shape, [array])

    def write_parts(
        self,
        name: str,
        dtype: np.dtype[np.generic],
        shape: tuple[int, ...],
        parts: Iterable[npt.NDArray[np.generic]],
    ) -> onnx.TensorProto:
        """Write an array that comes in parts along its first axis."""
        offset = self._begin()
        for part in parts:
            self._file.write(np.ascontiguousarray(part).data)
        return self._tensor(name, dtype, shape, offset)

    def write_turned(
        self, name: str, shape: tuple[int, int], parts: Iterable[FloatArray]
    ) -> onnx.TensorProto:
        """Write a matrix of this shape that comes turned, in parts along its second axis."""
        offset, done = self._begin(), 0
        for part in parts:
            for row, run in enumerate(np.ascontiguousarray(part.T)):
                self._file.seek(offset + run.itemsize * (row * shape[1] + done))
                self._file.write(run.data)
            done += len(part)
        return self._tensor(name, np.dtype(np.float32), shape, offset)

    def _begin(self) -> int:
        self._file.write(bytes(-self._file.tell() % ALIGNMENT))
        return self._file.tell()

    def _tensor(
        self, name: str, dtype: np.dtype[np.generic], shape: tuple[int, ...], offset: int
    ) -> onnx.TensorProto:
        length = self._file.tell() - offset
        element = onnx.helper.np_dtype_to_tensor_dtype(dtype)
        tensor = onnx.TensorProto(name=name, dims=shape, data_type=element)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", self._location), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor
