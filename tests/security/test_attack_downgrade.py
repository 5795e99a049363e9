"""A process without authentication beside grants says so: it would be a way around all others."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import pytest

from headrace.registry.v1 import access_service_pb2 as access_pb
from headrace.registry.v1.access_service_pb2_grpc import AccessServiceStub
from headrace.state.catalog import Catalog
from headrace_inference.app.access import open_replica_access
from headrace_inference.settings import Settings
from tests.rpc.registry_fixtures import running_registry
from tests.security.registries import secured_registry
from tests.unit.headrace.state.test_rights import granted

LOGGER = "headrace.state.unasked_rights"


def told(caplog: pytest.LogCaptureFixture) -> int:
    """So many warnings of it."""
    return sum(each.name == LOGGER for each in caplog.records)


async def wait_for(count: int, caplog: pytest.LogCaptureFixture) -> None:
    """Go on when so many were told, and no more."""
    for _ in range(1000):
        if told(caplog) >= count:
            break
        await asyncio.sleep(0.01)
    assert told(caplog) == count


async def test_a_registry_without_authentication_tells_of_grants(
    redis_url: str, namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not before there are any, once, and again when it is started again."""
    grant = access_pb.GrantRoleRequest(subject="ada", grant={"role": "viewer", "models": ["*"]})
    async with running_registry(redis_url, namespace, tmp_path) as running:
        assert told(caplog) == 0
        access = AccessServiceStub(running.channel)
        await access.GrantRole(grant)
        await wait_for(1, caplog)
        grant.subject = "bob"
        await access.GrantRole(grant)
    async with running_registry(redis_url, namespace, tmp_path):
        await wait_for(2, caplog)


async def test_a_registry_that_asks_has_nothing_to_tell(
    redis_url: str, namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its grants count."""
    async with secured_registry(redis_url, namespace, tmp_path) as registry:
        await registry.key("ada", ("viewer", "*"))
    assert told(caplog) == 0


@pytest.mark.parametrize(("auth", "expected"), [("off", 1), ("on", 0)])
def test_a_replica_without_authentication_tells_of_grants(
    tmp_path: Path, auth: Literal["on", "off"], expected: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Beside replicas that ask it would answer everybody."""
    settings = Settings(
        redis_url="redis://unused", registry_address="unused", data=tmp_path, auth=auth
    )
    with open_replica_access(settings) as access:
        access.follow(Catalog())
        assert told(caplog) == 0
        access.follow(granted())
        access.follow(granted())
    assert told(caplog) == expected
