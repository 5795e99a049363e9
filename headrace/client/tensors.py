"""Arrays as tensors of the Open Inference Protocol, and answers as arrays: pure functions."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from headrace import datatypes, errors
from headrace.client.answers import malformed, reading_an_answer
from headrace.client.arrays import Array
from headrace.client.results import InferResult, Parameter
from headrace.datatypes import Datatype
from headrace.inference import grpc_service_pb2

CLASSIFICATION_PARAMETER = "classification"


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """A served version's input or output; -1 is a free dimension."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """A served model's inputs and outputs."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]

    def input(self, name: str) -> TensorMetadata:
        """An input by its name. Raises InvalidArgument (INPUT_UNKNOWN)."""
        for tensor in self.inputs:
            if tensor.name == name:
                return tensor
        names = ", ".join(tensor.name for tensor in self.inputs)
        raise errors.InvalidArgument(
            "INPUT_UNKNOWN", f"{self.name} has no input {name!r}; its inputs are {names}"
        )


@reading_an_answer()
def metadata_from_proto(proto: grpc_service_pb2.ModelMetadataResponse) -> ModelMetadata:
    """A model's metadata from its message."""
    return ModelMetadata(
        name=proto.name,
        versions=tuple(proto.versions),
        platform=proto.platform,
        inputs=tuple(_tensor_metadata(tensor) for tensor in proto.inputs),
        outputs=tuple(_tensor_metadata(tensor) for tensor in proto.outputs),
    )


def _tensor_metadata(
    tensor: grpc_service_pb2.ModelMetadataResponse.TensorMetadata,
) -> TensorMetadata:
    return TensorMetadata(tensor.name, Datatype(tensor.datatype), tuple(tensor.shape))


def request_to_proto(
    model: str,
    inputs: Mapping[str, Array],
    *,
    version: str,
    outputs: Iterable[str],
    classes: Mapping[str, int] = MappingProxyType({}),
    parameters: Mapping[str, Parameter],
    request_id: str,
) -> grpc_service_pb2.ModelInferRequest:
    """A request for inference, its tensors as raw contents. Raises TypeError."""
    if isinstance(outputs, str):
        raise TypeError(f"outputs are a list of names, such as [{outputs!r:.200}], not a str")
    if not isinstance(classes, Mapping):
        raise TypeError(
            f"classes say how many of which output, such as {{'scores': 3}}, got {classes!r:.200}"
        )
    request = grpc_service_pb2.ModelInferRequest(
        model_name=model, model_version=version, id=request_id
    )
    for name, array in inputs.items():
        datatype = datatypes.datatype_of(array)
        request.inputs.add(name=name, datatype=datatype, shape=array.shape)
        request.raw_input_contents.append(datatypes.to_wire(array))
    for output in dict.fromkeys((*outputs, *classes)):
        wanted = request.outputs.add(name=output)
        if output in classes:
            wanted.parameters[CLASSIFICATION_PARAMETER].int64_param = classes[output]
    for key, value in parameters.items():
        request.parameters[key].CopyFrom(_parameter_to_proto(key, value))
    return request


def _parameter_to_proto(key: str, value: Parameter) -> grpc_service_pb2.InferParameter:
    match value:
        case bool():
            return grpc_service_pb2.InferParameter(bool_param=value)
        case int():
            return grpc_service_pb2.InferParameter(int64_param=value)
        case float():
            return grpc_service_pb2.InferParameter(double_param=value)
        case str():
            return grpc_service_pb2.InferParameter(string_param=value)
    raise errors.InvalidArgument(
        "PARAMETER_UNSUPPORTED", f"parameter {key!r} must be a bool, an int, a float or a str"
    )


def result_from_proto(
    response: grpc_service_pb2.ModelInferResponse,
    wanted: Collection[str] = (),
    notes: tuple[str, ...] = (),
) -> InferResult:
    """An answer from its message. Raises DataLoss where its tensors are not whole or not all `wanted`."""
    if len(response.outputs) != len(response.raw_output_contents):
        raise malformed(
            f"{len(response.raw_output_contents)} tensors for {len(response.outputs)} outputs"
        )
    pairs = zip(response.outputs, response.raw_output_contents, strict=True)
    with reading_an_answer():
        outputs = {output.name: _array(output, raw) for output, raw in pairs}
    if len(outputs) != len(response.outputs) or not outputs:
        raise malformed(f"its {len(response.outputs)} outputs are called {', '.join(outputs)}")
    missing = [name for name in wanted if name not in outputs]
    if missing:
        raise malformed(f"it has no output {', '.join(missing)}, which the request asked for")
    return InferResult(
        model_name=response.model_name,
        model_version=response.model_version,
        id=response.id,
        outputs=outputs,
        parameters={
            key: getattr(value, value.WhichOneof("parameter_choice") or "string_param")
            for key, value in response.parameters.items()
        },
        notes=notes,
    )


def _array(output: grpc_service_pb2.ModelInferResponse.InferOutputTensor, raw: bytes) -> Array:
    datatype = Datatype(output.datatype)
    flat = _elements(raw) if datatype is Datatype.BYTES else _numbers(raw, datatype)
    shape = tuple(output.shape)
    if flat.size != math.prod(shape) or min(shape, default=0) < 0:
        raise malformed(f"output {output.name!r} has {flat.size} elements for {list(shape)}")
    return flat.reshape(shape)


def _elements(raw: bytes) -> Array:
    elements: Sequence[bytes] = datatypes.decode_bytes_elements(raw)
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array


def _numbers(raw: bytes, datatype: Datatype) -> Array:
    dtype = datatypes.NUMPY_DTYPES[datatype]
    if len(raw) % dtype.itemsize:
        raise malformed(f"{len(raw)} bytes are not a whole number of {datatype} elements")
    return np.frombuffer(raw, dtype=dtype)
