"""Every method and every route of a whole suite, asked for by every kind of identity, on both fronts."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from headrace.client import AsyncClient
from headrace.security.methods import METHODS
from headrace.security.routes import ROUTES
from tests.e2e.models import scaling
from tests.security import expected
from tests.security.asking import SERVICES, asked, fetched
from tests.suite import RunningSuite, running_suite

ROLES = {
    "stranger": (),
    "caller": (("caller", "digits"),),
    "owner": (("owner", "digits"),),
    "viewer": (("viewer", "*"),),
}
HIDDEN = "hidden"
"""A model that callers and owners of `digits` must not learn of."""
AT_A_TIME = 16
CONTENTS = {"ReadBlob": {"sha256": hashlib.sha256(scaling(2)).hexdigest()}}
"""What only requests about the graph of `digits` have."""


@dataclass(frozen=True, slots=True)
class Secured:
    """A suite that asks who calls, with a key for each identity."""

    suite: RunningSuite
    keys: Mapping[str, str]

    def address(self, service: str) -> str:
        """Where a service is called."""
        if "inference." in service:
            return self.suite.inference
        return self.suite.monitor if "monitor" in service else self.suite.registry


@asynccontextmanager
async def secured(tmp_path: Path, front: str) -> AsyncIterator[Secured]:
    """A suite with authentication, two models, and keys."""
    admin = tmp_path / "admin.key"
    flags = ["--auth", f"--admin-key-file={admin}", f"--front={front}"]
    async with running_suite(tmp_path, extra=flags) as suite:
        keys = {"nobody": "", "admin": admin.read_text().strip()}
        keys["service"] = next((suite.data / "secrets").glob("*.key")).read_text().strip()
        client = AsyncClient(
            registry=suite.registry, inference=suite.inference, token_file=str(admin)
        )
        async with client:
            for factor, model in ((2, "digits"), (3, HIDDEN)):
                version = await client.push(model, scaling(factor))
                await client.wait_until_ready(model, version.number)
            for subject, grants in ROLES.items():
                for role, models in grants:
                    await client.grant_role(subject, role, [models])
                keys[subject] = (await client.create_api_key(subject)).secret
        await _until_known(suite, keys["viewer"])
        yield Secured(suite, keys)


async def _until_known(suite: RunningSuite, key: str) -> None:
    """Wait until the replica and the monitor have heard of the newest key."""
    infer = SERVICES["inference.GRPCInferenceService"].methods_by_name["ServerMetadata"]
    figures = SERVICES["headrace.monitor.v1.MonitorService"].methods_by_name["QueryStatistics"]
    async with asyncio.timeout(10):
        for address, method in ((suite.inference, infer), (suite.monitor, figures)):
            async with grpc.aio.insecure_channel(address) as channel:
                while (await asked(channel, method, key))[0] != ".":  # noqa: ASYNC110  # another process
                    await asyncio.sleep(0.05)


def wrong(name: str, wanted: str, found: Mapping[str, str]) -> Iterable[str]:
    """A line for each identity that was answered otherwise than the table says."""
    for identity, letter in zip(expected.IDENTITIES, wanted, strict=True):
        if found[identity] != letter:
            yield f"{name} as {identity}: {found[identity]!r} instead of {letter!r}"


async def walk_methods(scene: Secured) -> list[str]:
    """All that is answered otherwise over gRPC."""
    places = asyncio.Semaphore(AT_A_TIME)
    lines: list[str] = []

    async def one(channel: grpc.aio.Channel, service: str, method: str, wanted: str) -> None:
        descriptor = SERVICES[service].methods_by_name[method]
        async with places:
            found = {
                identity: (await asked(channel, descriptor, key, **CONTENTS.get(method, {})))[0]
                for identity, key in scene.keys.items()
            }
        lines.extend(wrong(f"{service}/{method}", wanted, found))

    for service, methods in expected.GRPC.items():
        async with grpc.aio.insecure_channel(scene.address(service)) as channel:
            await asyncio.gather(*(one(channel, service, *row) for row in methods.items()))
    return lines


async def walk_routes(scene: Secured) -> list[str]:
    """All that is answered otherwise over HTTP."""
    ready = scene.suite.ready
    lines: list[str] = []
    ports = (
        (scene.suite.rest, expected.REST),
        (ready["registry_http"], expected.OPERATIONS),
        (ready["shared"]["metrics"], expected.OPERATIONS),
        (ready["monitor_http"], {**expected.OPERATIONS, **expected.CONSOLE}),
    )
    async with aiohttp.ClientSession() as session:
        for address, rows in ports:
            for (verb, template), wanted in rows.items():
                path = template.format(
                    model="digits",
                    id="digits",
                    version="1",
                    repository="r",
                    region="r",
                    digest="d",
                    file="main.js",
                )
                found = {
                    identity: (await fetched(session, verb, f"http://{address}{path}", key))[0]
                    for identity, key in scene.keys.items()
                }
                lines.extend(wrong(f"{verb} {address} {template}", wanted, found))
    return lines


async def what_tells_of_hidden_models(scene: Secured) -> list[str]:
    """All that answers a forbidden model and one that does not exist differently."""
    lines: list[str] = []
    oip = SERVICES["inference.GRPCInferenceService"]
    calls = [(oip, name, "name") for name in ("ModelReady", "ModelMetadata", "ModelConfig")]
    calls += [(oip, "ModelStatistics", "name"), (oip, "ModelInfer", "model_name")]
    registry = SERVICES["headrace.registry.v1.RegistryService"]
    calls += [(registry, name, "name") for name in ("GetModel", "DeleteModel")]
    for service, name, field in calls:
        method = service.methods_by_name[name]
        prefix = "models/" if service is registry else ""
        async with grpc.aio.insecure_channel(scene.address(service.full_name)) as channel:
            told = [
                await asked(channel, method, scene.keys["owner"], **{field: prefix + model})
                for model in (HIDDEN, "absent")
            ]
        if told[0] != (told[1][0], told[1][1].replace("absent", HIDDEN)) or told[0][0] != "D":
            lines.append(f"{name}: {told[0]} and {told[1]}")
    async with aiohttp.ClientSession() as session:
        for path in ("/v2/models/{}", "/v2/models/{}/ready", "/v2/models/{}/stats"):
            texts = [
                await fetched(
                    session,
                    "GET",
                    f"http://{scene.suite.rest}{path.format(model)}",
                    scene.keys["owner"],
                )
                for model in (HIDDEN, "absent")
            ]
            if texts[0][0] != "D" or texts[0][1] != str(texts[1][1]).replace("absent", HIDDEN):
                lines.append(f"{path}: {texts}")
    return lines


async def what_lists_hidden_models(scene: Secured) -> list[str]:
    """All lists in which an owner of `digits` finds another model, or not its own."""
    lines = []
    lists = [
        ("inference.GRPCInferenceService", "RepositoryIndex"),
        ("headrace.registry.v1.RegistryService", "ListModels"),
    ]
    for service, name in lists:
        async with grpc.aio.insecure_channel(scene.address(service)) as channel:
            call: Any = channel.unary_unary(f"/{service}/{name}")
            metadata = (("authorization", f"Bearer {scene.keys['owner']}"),)
            listed = await call(b"", metadata=metadata, timeout=10)
        if HIDDEN.encode() in listed or b"digits" not in listed:
            lines.append(f"{name}: {listed!r}")
    async with aiohttp.ClientSession() as session:
        for verb, path in (
            ("GET", "/v2/models"),
            ("GET", "/v2/models/stats"),
            ("POST", "/v2/repository/index"),
        ):
            url = f"http://{scene.suite.rest}{path}"
            _, text = await fetched(session, verb, url, scene.keys["owner"])
            if HIDDEN in text or "digits" not in text:
                lines.append(f"{path}: {text!r}")
    return lines


@pytest.mark.parametrize("front", ["native", "grpcio"])
def test_every_method_and_route_answers_every_identity_as_it_should(
    tmp_path: Path, front: str
) -> None:
    async def run() -> list[str]:
        async with secured(tmp_path, front) as scene:
            lines = await what_tells_of_hidden_models(scene)
            lines += await what_lists_hidden_models(scene)
            lines += await walk_methods(scene)
            lines += await walk_routes(scene)
            return lines

    assert [] == asyncio.run(run())


def test_nothing_is_missing_in_the_expected_answers() -> None:
    methods = {f"/{service}/{name}" for service, rows in expected.GRPC.items() for name in rows}
    streams = {"/inference.GRPCInferenceService/ModelStreamInfer"}
    elsewhere = {path for path in METHODS if path.startswith("/grpc.")}
    assert set(METHODS) - methods == streams | elsewhere
    routes = {*expected.REST, *expected.OPERATIONS, *expected.CONSOLE}
    login = {route for route in ROUTES if route[1] in ("/login", "/logout")}
    assert set(ROUTES) - routes == login
