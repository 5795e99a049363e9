"""Signatures as messages, and back."""

from __future__ import annotations

from headrace import errors
from headrace.datatype_names import Datatype
from headrace.state.records import Signature, TensorSpec
from headrace.type.v1 import signature_pb2


def signature_to_proto(signature: Signature) -> signature_pb2.Signature:
    """A signature as its message."""
    return signature_pb2.Signature(
        inputs=[_tensor_to_proto(spec) for spec in signature.inputs],
        outputs=[_tensor_to_proto(spec) for spec in signature.outputs],
        optional_inputs=[_tensor_to_proto(spec) for spec in signature.optional_inputs],
    )


def signature_from_proto(proto: signature_pb2.Signature) -> Signature:
    """A signature from its message. Raises InvalidArgument (DATATYPE_UNSUPPORTED)."""
    return Signature(
        inputs=tuple(_tensor_from_proto(spec) for spec in proto.inputs),
        outputs=tuple(_tensor_from_proto(spec) for spec in proto.outputs),
        optional_inputs=tuple(_tensor_from_proto(spec) for spec in proto.optional_inputs),
    )


def _tensor_to_proto(spec: TensorSpec) -> signature_pb2.TensorSpec:
    return signature_pb2.TensorSpec(
        name=spec.name,
        data_type=f"DATA_TYPE_{spec.datatype}",
        shape=spec.shape,
        dim_names=spec.dim_names,
        unranked=spec.unranked,
    )


def _tensor_from_proto(proto: signature_pb2.TensorSpec) -> TensorSpec:
    return TensorSpec(
        name=proto.name,
        datatype=_datatype_from_proto(proto),
        shape=tuple(proto.shape),
        dim_names=tuple(proto.dim_names),
        unranked=proto.unranked,
    )


def _datatype_from_proto(proto: signature_pb2.TensorSpec) -> Datatype:
    names = {number: name for name, number in signature_pb2.DataType.items()}
    name = names.get(proto.data_type, str(proto.data_type)).removeprefix("DATA_TYPE_")
    try:
        return Datatype(name)
    except ValueError:
        raise errors.InvalidArgument(
            "DATATYPE_UNSUPPORTED",
            f"tensor {proto.name!r} has the datatype {name}; it must be one of {', '.join(Datatype)}",
        ) from None
