"""The monitor's link to a real registry: what it follows, keeps while the registry is away, and reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from headrace.registry.v1 import registry_service_pb2 as pb
from headrace_monitor.adapters.registry.link import RegistryLink, open_registry_link
from headrace_monitor.domain.catalog.catalog import CatalogModel
from headrace_monitor.domain.catalog.history import weights_of
from headrace_monitor.settings import Settings
from tests.rpc.registry_fixtures import eventually, onnx_file, push, running_registry


def settings(data: Path, address: str) -> Settings:
    """A monitor's settings, which call a registry."""
    return Settings(data=data, registry_address=address)


def has(link: RegistryLink, model: str, *versions: int) -> Callable[[], bool]:
    """Tells whether the catalog has a model with these versions, newest first."""

    def holds() -> bool:
        found = link.catalog.snapshot.models.get(model)
        return found is not None and versions == tuple(found.versions)

    return holds


def model(link: RegistryLink) -> CatalogModel:
    """What the catalog has of the model."""
    return link.catalog.snapshot.models["digits"]


async def test_the_catalog_is_listed_and_then_follows_every_change(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What was there before is there, and what is made, moved and deleted since."""
    async with running_registry(redis_url, namespace, tmp_path) as registry:
        await push(registry, onnx_file(1.0))
        async with open_registry_link(settings(tmp_path, registry.address)) as link:
            await eventually(has(link, "digits", 1))
            await push(registry, onnx_file(2.0))
            await push(registry, onnx_file(3.0), model="other")
            await eventually(has(link, "digits", 2, 1))
            await eventually(has(link, "other", 1))
            alias = {"name": "models/digits/aliases/prod", "version": 2}
            await registry.stub.UpdateAlias(
                pb.UpdateAliasRequest(alias=alias, allow_missing=True, allow_unready=True)
            )
            route = {
                "name": "models/digits/route",
                "stable_version": 1,
                "canary": {"version": 2, "weight_percent": 10},
            }
            await registry.stub.UpdateRoute(pb.UpdateRouteRequest(route=route, allow_unready=True))
            await eventually(lambda: "prod" in link.catalog.snapshot.models["digits"].aliases)
            await eventually(lambda: "canary" in model(link).roles_of(2))
            found = model(link)
            assert found.route is not None
            assert {1: 90.0, 2: 10.0} == weights_of(found.route)
            assert (["stable"], ["canary", "latest"]) == (found.roles_of(1), found.roles_of(2))
            await registry.stub.DeleteModel(pb.DeleteModelRequest(name="models/other", force=True))
            await eventually(lambda: "other" not in link.catalog.snapshot.models)
            fresh = link.catalog.freshness()
            assert (True, True, 0.0, "") == (
                fresh.is_known,
                fresh.is_connected,
                fresh.age_seconds,
                fresh.problem,
            )


async def test_it_is_kept_while_the_registry_is_away_and_catches_up_when_it_is_back(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """All stays as it was, with its age and what is wrong; what was missed is there after."""
    data = tmp_path / "registry"
    async with running_registry(redis_url, namespace, data) as registry:
        await push(registry, onnx_file(1.0))
        port = int(registry.address.rpartition(":")[2])
        opened = open_registry_link(settings(tmp_path, registry.address))
        link = await opened.__aenter__()
        await eventually(has(link, "digits", 1))
    try:
        await eventually(lambda: not link.catalog.freshness().is_connected)
        away = link.catalog.freshness()
        assert (True, True) == (away.is_known, bool(away.problem))
        assert has(link, "digits", 1)()
        async with running_registry(redis_url, namespace, data, grpc_port=port) as registry:
            await push(registry, onnx_file(2.0))
            await eventually(has(link, "digits", 2, 1))
            await eventually(lambda: link.catalog.freshness().is_connected)
    finally:
        await opened.__aexit__(None, None, None)


async def test_a_model_has_a_history(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Who pushed and moved what, and why; and how the route spread requests from when on."""
    async with (
        running_registry(redis_url, namespace, tmp_path / "registry") as registry,
        open_registry_link(settings(tmp_path, registry.address)) as link,
    ):
        for bias in (1.0, 2.0, 3.0):
            await push(registry, onnx_file(bias))
        route = {"name": "models/digits/route", "stable_version": 3}
        metadata = (("x-headrace-actor", "ada"), ("headrace-reason", "3%20is%20better"))
        await registry.stub.UpdateRoute(
            pb.UpdateRouteRequest(route=route, allow_unready=True), metadata=metadata
        )
        await eventually(has(link, "digits", 3, 2, 1))
        history = await link.histories.of("digits")
    assert ["version.push"] * 3 + ["route.update"] == [mark.kind for mark in history.marks[-4:]]
    assert ("ada", "3 is better") == (history.marks[-1].actor, history.marks[-1].reason)
    assert {1, 2, 3} == set(history.pushers())
    moved = history.marks[-1].at
    assert [{1: 100.0}, {3: 100.0}] == [each.weights for each in history.weights(0.0, moved + 1)]
    assert [{3: 100.0}] == [each.weights for each in history.weights(moved + 1, moved + 2)]
