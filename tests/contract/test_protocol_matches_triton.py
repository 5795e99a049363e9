"""Compares our copy of the Open Inference Protocol with the one that Triton's client ships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import descriptor_pb2
from tritonclient.grpc import model_config_pb2 as triton_config
from tritonclient.grpc import service_pb2 as triton_service

from headrace.inference import grpc_service_pb2, model_config_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.descriptor import FileDescriptor
    from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

OURS = (grpc_service_pb2.DESCRIPTOR, model_config_pb2.DESCRIPTOR)
TRITONS = (triton_service.DESCRIPTOR, triton_config.DESCRIPTOR)


def messages(file: FileDescriptorProto) -> dict[str, Any]:
    return {name: message.options for name, message in walk(file)}


def fields(file: FileDescriptorProto) -> dict[str, Any]:
    """Holds each field whole: name, type, label, oneof, JSON name and options."""
    return {
        f"{name} {field.number}": field for name, message in walk(file) for field in message.field
    }


def oneofs(file: FileDescriptorProto) -> dict[str, Any]:
    return {name: list(message.oneof_decl) for name, message in walk(file)}


def enums(file: FileDescriptorProto) -> dict[str, Any]:
    found = {f"{file.package}.{enum.name}": enum for enum in file.enum_type}
    for name, message in walk(file):
        found |= {f"{name}.{enum.name}": enum for enum in message.enum_type}
    return found


def methods(file: FileDescriptorProto) -> dict[str, Any]:
    """Holds what each RPC takes and answers, and which sides stream."""
    return {
        f"{file.package}.{service.name}/{rpc.name}": (
            rpc.input_type,
            rpc.output_type,
            rpc.client_streaming,
            rpc.server_streaming,
        )
        for service in file.service
        for rpc in service.method
    }


def walk(file: FileDescriptorProto) -> Iterator[tuple[str, DescriptorProto]]:
    """Yields every message, nested ones and map entries too, with its full name."""
    pending = [(f"{file.package}.{message.name}", message) for message in file.message_type]
    while pending:
        name, message = pending.pop()
        yield name, message
        pending += [(f"{name}.{nested.name}", nested) for nested in message.nested_type]


def gather(
    facts: Callable[[FileDescriptorProto], dict[str, Any]], files: tuple[FileDescriptor, ...]
) -> dict[str, Any]:
    gathered: dict[str, Any] = {}
    for file in files:
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        gathered |= facts(proto)
    return gathered


@pytest.mark.parametrize("facts", [messages, fields, oneofs, enums, methods])
def test_descriptors_equal_tritons(
    facts: Callable[[FileDescriptorProto], dict[str, Any]],
) -> None:
    """Nothing of Triton's protocol is missing here, different or added."""
    expected = gather(facts, TRITONS)

    assert expected
    assert expected == gather(facts, OURS)
