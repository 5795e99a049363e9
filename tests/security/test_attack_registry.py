"""Callers of a registry who try for more than they were granted."""

from __future__ import annotations

from pathlib import Path

from headrace.registry.v1 import registry_service_pb2 as pb
from tests.security.registries import bearer, reason_of, secured_registry


async def test_names_in_other_forms_lead_to_no_other_model(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Whatever stands around a model's name, another model is not reached by a right on the first."""
    tricks = (
        "models/fraud-a/../secret",
        "models/fraud-a/versions/1/../../secret",
        "models//secret",
        "models/secret/",
        "models/fraud-a\x00/secret",
        "secret",
        "models/models/secret",
        "Models/secret",
        "models/secret@fraud-a",
        "models/-",
        "models/*",
    )
    async with secured_registry(redis_url, namespace, tmp_path) as registry:
        stub = registry.stub
        for name in ("secret", "fraud-a"):
            new = pb.CreateModelRequest(model={"name": f"models/{name}", "description": name})
            await stub.CreateModel(new, metadata=bearer(registry.admin))
        team = bearer(await registry.key("team", ("owner", "fraud-*")))
        for name in tricks:
            for call in (
                stub.GetModel(pb.GetModelRequest(name=name), metadata=team),
                stub.ListVersions(pb.ListVersionsRequest(parent=name), metadata=team),
                stub.DeleteModel(pb.DeleteModelRequest(name=name), metadata=team),
                stub.ListChanges(pb.ListChangesRequest(model=name), metadata=team),
            ):
                assert await reason_of(call) in ("PERMISSION_DENIED", "RESOURCE_NAME_INVALID"), name
        listed = await stub.ListModels(pb.ListModelsRequest(), metadata=team)
        assert [model.name for model in listed.models] == ["models/fraud-a"]
        changes = await stub.ListChanges(
            pb.ListChangesRequest(model="models/fraud-a", with_stored=True), metadata=team
        )
        assert {change.resource for change in changes.changes} == {"models/fraud-a"}
        assert not any(change.stored for change in changes.changes)
