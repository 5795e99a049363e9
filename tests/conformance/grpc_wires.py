"""Calls over gRPC: raw contents, and typed contents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from headrace.client.tensors import result_from_proto
from headrace.datatypes import Datatype, encode_bytes_elements, to_wire
from headrace.inference import grpc_service_pb2 as pb
from headrace.state.records import Signature, TensorSpec
from headrace_inference.domain.scheduling.requests import Array

METHOD = "/inference.GRPCInferenceService/ModelInfer"

_TYPED = {
    Datatype.BOOL: "bool_contents",
    Datatype.UINT8: "uint_contents",
    Datatype.UINT16: "uint_contents",
    Datatype.UINT32: "uint_contents",
    Datatype.UINT64: "uint64_contents",
    Datatype.INT8: "int_contents",
    Datatype.INT16: "int_contents",
    Datatype.INT32: "int_contents",
    Datatype.INT64: "int64_contents",
    Datatype.FP32: "fp32_contents",
    Datatype.FP64: "fp64_contents",
    Datatype.BYTES: "bytes_contents",
}
"""The protocol's typed fields; FP16 and BF16 have none."""


def raw_request(model: str, signature: Signature, inputs: Sequence[Array]) -> Any:
    """A request with its tensors as raw contents."""
    request = _request(model, signature, inputs)
    for array in inputs:
        strings = array.dtype.kind in "OSU"
        request.raw_input_contents.append(
            encode_bytes_elements(array) if strings else to_wire(array)
        )
    return request


def typed_request(model: str, signature: Signature, inputs: Sequence[Array]) -> Any:
    """A request with its tensors as typed contents."""
    request = _request(model, signature, inputs)
    for spec, tensor, array in zip(signature.inputs, request.inputs, inputs, strict=True):
        tensor.contents.SetInParent()
        getattr(tensor.contents, _TYPED[spec.datatype]).extend(_elements(array))
    return request


def not_typed(signature: Signature) -> str:
    """Why typed contents cannot carry these inputs, or ''."""
    return _first_of(signature.inputs, lambda spec: spec.datatype not in _TYPED)


def outputs_of(signature: Signature, response: Any) -> list[Array]:
    """The arrays of an answer, in the signature's order."""
    outputs = result_from_proto(response).outputs
    assert [spec.name for spec in signature.outputs] == list(outputs)
    return list(outputs.values())


def _request(model: str, signature: Signature, inputs: Sequence[Array]) -> Any:
    request = pb.ModelInferRequest(model_name=model)
    for spec, array in zip(signature.inputs, inputs, strict=True):
        request.inputs.add(name=spec.name, datatype=spec.datatype.value, shape=array.shape)
    return request


def _elements(array: Array) -> list[Any]:
    values = array.ravel().tolist()
    return [value.encode() for value in values] if array.dtype.kind in "OSU" else values


def _first_of(specs: Sequence[TensorSpec], wrong: Callable[[TensorSpec], bool]) -> str:
    return next((f"'{spec.name}' is {spec.datatype}" for spec in specs if wrong(spec)), "")
