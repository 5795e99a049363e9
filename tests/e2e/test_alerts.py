"""Every alert that is shipped fires when that happens which it is for: real services, real Prometheus."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import numpy as np
import pytest
import redis.asyncio

from headrace import AsyncClient
from headrace.inference import grpc_service_pb2_grpc as pb_grpc
from headrace.local.child import Running, open_child
from headrace.local.embedded_redis import open_embedded_server
from headrace.registry.v1 import registry_service_pb2 as registry_pb
from headrace.registry.v1 import registry_service_pb2_grpc as registry_grpc
from headrace.state.keys import Keys
from tests.e2e.models import scaling
from tests.e2e.prometheus import (
    DEPLOY,
    PROMETHEUS,
    PROMTOOL,
    Prometheus,
    running_prometheus,
    shipped_alerts,
)
from tests.e2e.relay import Relay, relaying
from tests.rpc.grpc_fixtures import request
from tests.rpc.test_endless_runs import counting, turns
from tests.tls_files import LOOPBACK, Pair, TlsFolder, tls_folder

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.toolchain,
    pytest.mark.skipif(
        PROMETHEUS is None or PROMTOOL is None,
        reason="prometheus is not installed; `make e2e` does it as root (scripts/install_clients.sh)",
    ),
]

PATIENCE_SECONDS = 60.0
NAMESPACE = "alerts"
BUSY_TURNS = 3_000_000
"""Of the counting model: a run of a tenth of a second and more."""
A_MONTH = timedelta(days=30)
OVER_TLS = "headrace-monitor-tls"
"""The job of a monitor whose ports speak TLS."""


@dataclass(frozen=True, slots=True)
class Site:
    """A suite whose processes each have a network of their own to Redis, and a client of it.

    Beside it runs a monitor over TLS, with the files of `pair`.
    """

    client: AsyncClient
    stub: Any
    redis_url: str
    monitor: Running
    data: Path
    registry: Running
    tls: TlsFolder
    pair: Pair
    of_registry: Relay
    of_replica: Relay


async def a_process_that_hangs(site: Site) -> None:
    """The monitor answers nobody; the replica's telemetry waits, and is dropped."""
    os.kill(site.monitor.process.pid, signal.SIGSTOP)


async def a_version_that_fails(site: Site) -> None:
    """It wants a device that is not there; callers ask for it all the same."""
    await site.client.push("elsewhere", scaling(2.0), config={"provider": "PROVIDER_CUDA"})
    asked = request("elsewhere", np.zeros((1, 2), np.float32))
    asked.model_version = "1"
    await ask_for_ever(site, asked, pause_seconds=0.1)


async def too_many_requests(site: Site) -> None:
    """More than the queue of the version takes."""
    async with asyncio.TaskGroup() as callers:
        for _ in range(6):
            callers.create_task(ask_for_ever(site, turns(BUSY_TURNS), pause_seconds=0.02))


async def too_many_bytes(site: Site) -> None:
    """More than the replica holds at a time."""
    large = request("small", np.zeros((50_000, 2), np.float32))
    await ask_for_ever(site, large, pause_seconds=0.1)


async def a_disk_that_alters_bytes(site: Site) -> None:
    """A blob is not what was pushed, and somebody reads it."""
    version = await site.client.push("altered", scaling(5.0))
    (blob,) = [path for path in site.data.rglob("*") if version.files[0].sha256 in path.name]
    blob.chmod(0o600)
    blob.write_bytes(bytes(blob.stat().st_size))
    async with grpc.aio.insecure_channel(site.registry.addresses["grpc"]) as channel:
        stub = registry_grpc.RegistryServiceStub(channel)
        asked = registry_pb.ReadBlobRequest(sha256=version.files[0].sha256)
        with suppress(grpc.aio.AioRpcError):
            async for _ in stub.ReadBlob(asked):
                pass


async def a_replica_that_hears_nothing(site: Site) -> None:
    """It cannot reach Redis, and the registry can."""
    site.of_replica.cut()
    await site.client.push("later", scaling(2.0))


async def records_that_are_gone(site: Site) -> None:
    """Somebody deletes what the state is made of."""
    async with redis.asyncio.from_url(site.redis_url) as server:
        await server.delete(Keys(NAMESPACE).versions)


async def a_registry_without_redis(site: Site) -> None:
    """The registry cannot reach Redis."""
    site.of_registry.cut()


async def a_certificate_of_a_day(site: Site) -> None:
    """Somebody renews the monitor's certificate, for too short a time."""
    site.tls.renew(site.pair)


async def a_key_half_written(site: Site) -> None:
    """Its key is replaced by what is none."""
    site.pair.key.write_bytes(site.pair.key.read_bytes()[:40])


async def ask_for_ever(site: Site, asked: Any, *, pause_seconds: float) -> None:
    """A caller who does not mind what it is told."""
    while True:
        with suppress(grpc.aio.AioRpcError):
            await site.stub.ModelInfer(asked, timeout=20)
        await asyncio.sleep(pause_seconds)


Fault = Callable[[Site], Coroutine[Any, Any, None]]

FAULTS: tuple[tuple[set[str], tuple[Fault, ...]], ...] = (
    (
        {"HeadraceVersionNotServed", "HeadraceOwnErrors", "HeadraceOverloaded"},
        (a_version_that_fails, too_many_requests),
    ),
    ({"HeadraceReplicaOverloaded"}, (too_many_bytes,)),
    ({"HeadraceCertificateExpires"}, (a_certificate_of_a_day,)),
    ({"HeadraceTlsFilesUnusable"}, (a_key_half_written,)),
    ({"HeadraceBlobDamaged"}, (a_disk_that_alters_bytes,)),
    ({"HeadraceProcessDown", "HeadraceTelemetryLost"}, (a_process_that_hangs,)),
    ({"HeadraceReplicaBehind"}, (a_replica_that_hears_nothing,)),
    ({"HeadraceStateNotWhole"}, (records_that_are_gone,)),
    ({"HeadraceStateUnreachable"}, (a_registry_without_redis,)),
)
"""What each alert is for; the later ones are beside the earlier, which go on."""


def test_every_alert_has_its_fault() -> None:
    """Whoever adds an alert says how it comes about."""
    assert shipped_alerts() == set().union(*[alerts for alerts, _ in FAULTS])


def test_the_rules_are_as_they_are_tested() -> None:
    """promtool's own tests of the expressions."""
    assert PROMTOOL is not None
    subprocess.run([PROMTOOL, "test", "rules", DEPLOY / "alerts_test.yml"], check=True, timeout=60)
    subprocess.run([PROMTOOL, "check", "config", DEPLOY / "prometheus.yml"], check=True, timeout=60)


async def test_every_alert_fires(tmp_path: Path) -> None:
    """None while all is well; then each within seconds of its fault."""
    async with running_site(tmp_path) as (site, targets):
        folder = tmp_path / "prometheus"
        folder.mkdir()
        async with running_prometheus(folder, targets, tls={OVER_TLS: site.tls.ca}) as prometheus:
            await until_calm(prometheus)
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(kind(site))
                    async for kinds in one_by_one(prometheus)
                    for kind in kinds
                ]
                for task in tasks:
                    task.cancel()


async def one_by_one(prometheus: Prometheus) -> AsyncIterator[tuple[Fault, ...]]:
    """What each alert is for, the next one when those of the last one have fired."""
    for alerts, kinds in FAULTS:
        yield kinds
        await until_firing(prometheus, alerts)


async def until_calm(prometheus: Prometheus) -> None:
    """Wait until all targets answer, and see that no alert fires for two evaluations more."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await prometheus.down():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)
    await asyncio.sleep(3)
    assert set() == await prometheus.firing()


async def until_firing(prometheus: Prometheus, alerts: set[str]) -> None:
    """Wait until each of these has fired."""
    missing = set(alerts)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while missing:
                missing -= await prometheus.firing()
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"these do not fire: {sorted(missing)}") from None


@asynccontextmanager
async def running_site(
    folder: Path,
) -> AsyncIterator[tuple[Site, dict[str, list[str]]]]:
    """The processes of a suite, with two models that serve, and what is to be scraped of them."""
    async with AsyncExitStack() as stack:
        opened = stack.enter_async_context
        redis_url = await opened(open_embedded_server(folder / "redis"))
        socket_path = urlsplit(redis_url).path
        relays = [await opened(relaying(socket_path)) for _ in range(2)]
        pids: dict[str, int] = {}

        async def child(service: str, *flags: str, name: str = "") -> Running:
            name = name or service
            command = [sys.executable, "-m", f"headrace_{service}", f"--data={folder / name}"]
            ports = ["--grpc-port=0", "--http-port=0", "--log-level=warning"]
            return await opened(
                open_child(name, [*command, *ports, *flags], pids, grace_seconds=10)
            )

        tls = tls_folder(folder, lifetime=A_MONTH)
        pair = tls.pair("server", LOOPBACK, serves=True, lifetime=A_MONTH)

        state = [
            (f"--redis-url=redis://127.0.0.1:{relay.port}", f"--namespace={NAMESPACE}")
            for relay in relays
        ]
        registry = await child("registry", *state[0])
        monitor = await child("monitor")
        stack.callback(resume, monitor)
        shown = [f"--tls-cert={pair.certificate}", f"--tls-key={pair.key}"]
        over_tls = await child("monitor", *shown, name=OVER_TLS)
        replica = await child(
            "inference",
            *state[1],
            f"--registry-address={registry.addresses['grpc']}",
            f"--monitor-address={monitor.addresses['grpc']}",
            "--metrics-port=0",
            "--max-bytes-in-flight=200000",
            "--telemetry-seconds=0.2",
            "--telemetry-max-reports=3",
        )
        grpc_address = replica.addresses["grpc"]
        client = await opened(
            AsyncClient(registry=registry.addresses["grpc"], inference=grpc_address)
        )
        channel = await opened(grpc.aio.insecure_channel(grpc_address))
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        await push_models(client)
        data = folder / "registry"
        site = Site(client, stub, redis_url, monitor, data, registry, tls, pair, *relays)
        yield site, targets(registry, replica, monitor, over_tls)


async def push_models(client: AsyncClient) -> None:
    """One that doubles, and one whose queue has one place."""
    await client.push("small", scaling(2.0))
    config = {"queue": {"maxRequests": 1}, "instances": 1}
    await client.push("counting", counting().graph.SerializeToString(), config=config)
    for model in ("small", "counting"):
        await client.wait_until_ready(model, 1, timeout_seconds=60)


def targets(
    registry: Running, replica: Running, monitor: Running, over_tls: Running
) -> dict[str, list[str]]:
    """What is to be scraped, by job."""
    return {
        "headrace-registry": [registry.addresses["http"]],
        "headrace-inference": [replica.addresses["metrics"]],
        "headrace-monitor": [monitor.addresses["http"]],
        OVER_TLS: [over_tls.addresses["http"]],
    }


def resume(running: Running) -> None:
    """Let a paused process go on, so that it can be told to end."""
    with suppress(ProcessLookupError):
        os.kill(running.process.pid, signal.SIGCONT)
