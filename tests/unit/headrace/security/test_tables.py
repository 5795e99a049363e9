"""The tables of permissions have a row for every method and no others; rows name real models."""

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from headrace.inference import grpc_service_pb2
from headrace.registry.v1 import registry_service_pb2
from headrace.security.methods import METHODS
from headrace.security.model_names import model_in
from headrace.security.verbs import Scope, Verb
from tests.security.services import services

NOT_EVERYWHERE = {
    "/grpc.health.v1.Health/List",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
}
"""Of later releases of gRPC's packages."""


def all_services() -> Iterator[ServiceDescriptor]:
    """Those of the project, and those of gRPC that are served beside them."""
    yield from services()
    for file in (health_pb2, reflection_pb2):
        yield from file.DESCRIPTOR.services_by_name.values()


def test_every_method_has_a_row() -> None:
    there = {
        f"/{each.full_name}/{method.name}" for each in all_services() for method in each.methods
    }
    assert there - set(METHODS) == set()
    assert set(METHODS) - there <= NOT_EVERYWHERE


def test_only_health_is_open() -> None:
    open_to_all = {path for path, rule in METHODS.items() if rule.permission.scope is Scope.OPEN}
    assert open_to_all == {
        "/inference.GRPCInferenceService/ServerLive",
        "/inference.GRPCInferenceService/ServerReady",
        "/grpc.health.v1.Health/Check",
        "/grpc.health.v1.Health/List",
        "/grpc.health.v1.Health/Watch",
    }


def test_rows_find_the_models_of_requests() -> None:
    pb = registry_service_pb2
    alias = pb.UpdateAliasRequest()
    alias.alias.name = "models/b/aliases/x"
    batch = pb.BatchUpdateAliasesRequest(parent="models/a", requests=[alias])
    path = "/headrace.registry.v1.RegistryService/BatchUpdateAliases"
    assert METHODS[path].models(batch) == ("a", "b")
    infer = grpc_service_pb2.ModelInferRequest(model_name="digits@champion")
    assert METHODS["/inference.GRPCInferenceService/ModelInfer"].models(infer) == ("digits",)


def test_requests_that_change_no_setting_take_read() -> None:
    rule = METHODS["/inference.GRPCInferenceService/LogSettings"]
    request = grpc_service_pb2.LogSettingsRequest()
    assert [each.verb for each in rule.permissions_for(request)] == [Verb.READ]
    request.settings["log_info"].bool_param = True
    assert [each.verb for each in rule.permissions_for(request)] == [Verb.ADMIN]


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("models/digits/versions/3", "digits"),
        ("models/digits", "digits"),
        ("digits", "digits"),
        ("digits@champion", "digits"),
        ("", ""),
    ],
)
def test_names_lead_to_models(text: str, model: str) -> None:
    assert model_in(text) == model


def test_a_push_that_moves_an_alias_takes_route_too() -> None:
    rule = METHODS["/headrace.registry.v1.RegistryService/PushVersion"]
    push = registry_service_pb2.PushVersionRequest()
    push.header.parent = "models/digits"
    assert [each.verb for each in rule.permissions_for(push)] == [Verb.PUSH]
    push.header.alias = "champion"
    assert [each.verb for each in rule.permissions_for(push)] == [Verb.PUSH, Verb.ROUTE]


def test_a_change_of_a_gate_takes_route_too() -> None:
    """What decides which versions callers get is not the pusher's alone; all else of a model is."""
    named = {"name": "models/digits"}
    gate = {"require": ["accuracy > 0.9"]}
    requests = [
        registry_service_pb2.UpdateModelRequest(model={**named, "description": "x"}),
        registry_service_pb2.UpdateModelRequest(model={**named, "gate": gate}),
        registry_service_pb2.UpdateModelRequest(model=named, update_mask={"paths": ["gate"]}),
        registry_service_pb2.UpdateModelRequest(
            model={**named, "gate": gate}, update_mask={"paths": ["labels"]}
        ),
        registry_service_pb2.CreateModelRequest(model=named),
        registry_service_pb2.CreateModelRequest(model={**named, "gate": gate}),
    ]
    assert [
        ["push"],
        ["push", "route"],
        ["push", "route"],
        ["push"],
        ["push"],
        ["push", "route"],
    ] == [
        [
            str(permission.verb)
            for permission in METHODS[
                f"/headrace.registry.v1.RegistryService/{type(each).__name__[:-7]}"
            ].permissions_for(each)
        ]
        for each in requests
    ]
