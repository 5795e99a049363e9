"""Answers rows by an ONNX Runtime session of this process: no server, no registry."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from headrace import errors
from headrace.datatype_names import Datatype
from headrace.lifecycle.predictors.predictor import (
    Array,
    Tensors,
    check_rows,
    joined,
    pieces,
    rows_of,
)
from headrace.model_files.zip_maps import without_zip_maps
from headrace.state.records import Signature, TensorSpec

_DATATYPES = {
    "tensor(bool)": Datatype.BOOL,
    "tensor(uint8)": Datatype.UINT8,
    "tensor(uint16)": Datatype.UINT16,
    "tensor(uint32)": Datatype.UINT32,
    "tensor(uint64)": Datatype.UINT64,
    "tensor(int8)": Datatype.INT8,
    "tensor(int16)": Datatype.INT16,
    "tensor(int32)": Datatype.INT32,
    "tensor(int64)": Datatype.INT64,
    "tensor(float16)": Datatype.FP16,
    "tensor(float)": Datatype.FP32,
    "tensor(double)": Datatype.FP64,
    "tensor(string)": Datatype.BYTES,
    "tensor(bfloat16)": Datatype.BF16,
}

_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"


class SessionPredictor:
    """Answers rows by a graph, `rows_per_run` at a time; 1 where rows may change one another's answers."""

    runs_here = True

    def __init__(
        self,
        graph: Path | bytes,
        *,
        rows_per_run: int = 64,
        outputs: Iterable[str] = (),
        threads: int = 0,
        providers: Sequence[str] = ("CPUExecutionProvider",),
    ) -> None:
        """Open the session. Raises InvalidArgument (GRAPH_UNUSABLE)."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self.session: Any = onnxruntime.InferenceSession(
                _without_maps(graph, options), options, list(providers)
            )
        except Exception as error:  # the runtime raises classes of its own without a common base
            raise errors.InvalidArgument("GRAPH_UNUSABLE", f"{error}") from error
        self.signature = signature_of(self.session)
        self.requests = 0
        self.rows_per_request = rows_per_run
        self._outputs = tuple(outputs) or tuple(spec.name for spec in self.signature.outputs)

    async def predict(self, inputs: Tensors) -> dict[str, Array]:
        """The outputs of all rows, in their order; the event loop goes on meanwhile."""
        return await asyncio.to_thread(self.run, inputs)

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """The same in this thread."""
        if not rows_of(inputs):
            raise errors.InvalidArgument("ROWS_INVALID", "there are no rows")
        return joined([self._run(piece) for piece in pieces(inputs, self.rows_per_request)])

    def _run(self, piece: Tensors) -> dict[str, Array]:
        self.requests += 1
        answers = self.session.run(list(self._outputs), _as_text(piece))
        return check_rows(dict(zip(self._outputs, answers, strict=True)), rows_of(piece))


def _without_maps(graph: Path | bytes, options: Any) -> str | bytes:
    """The graph as it would be served: a ZipMap at its end is taken off, as a push does."""
    plain = without_zip_maps(graph if isinstance(graph, bytes) else graph.read_bytes())
    if plain is None:
        return graph if isinstance(graph, bytes) else str(graph)
    if isinstance(graph, Path):  # of bytes it could not tell where weights in other files are
        folder = str(graph.parent.resolve())
        options.add_session_config_entry(_WEIGHTS_FOLDER, folder)
    return plain


def signature_of(session: Any) -> Signature:
    """What a session takes and gives. Raises InvalidArgument for what no request can bring."""
    return Signature(
        tuple(_spec(each) for each in session.get_inputs()),
        tuple(_spec(each) for each in session.get_outputs()),
        tuple(_spec(each) for each in session.get_overridable_initializers()),
    )


def _spec(end: Any) -> TensorSpec:
    datatype = _DATATYPES.get(end.type)
    if datatype is None:
        raise errors.InvalidArgument(
            "GRAPH_UNUSABLE",
            f"{end.name!r} is of type {end.type}, which is no tensor that can be sent",
        )
    shape = end.shape or ()
    sizes = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in shape)
    names = tuple(size if isinstance(size, str) else "" for size in shape)
    return TensorSpec(end.name, datatype, sizes, names)


def _as_text(piece: Tensors) -> dict[str, Array]:
    """ONNX Runtime takes texts as str."""
    return {
        name: _decoded(array) if array.dtype == object else array for name, array in piece.items()
    }


def _decoded(array: Array) -> Array:
    texts = array.copy()
    flat = texts.reshape(-1)
    for place, value in enumerate(flat):
        flat[place] = value.decode() if isinstance(value, bytes) else str(value)
    return flat.reshape(array.shape)
