"""The gateway, put together."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from prometheus_client import CollectorRegistry

from headrace import addresses, errors
from headrace.client import AsyncClient, ClientSettings
from headrace.gateway.binary import find_envoy
from headrace.gateway.config.endpoints import EndpointState
from headrace.gateway.config.places import Places
from headrace.gateway.edge import Edge
from headrace.gateway.envoy_process import EnvoyStarter
from headrace.gateway.follower import ReplicaFollower
from headrace.gateway.metrics import CONTENT_TYPE, GatewayMetrics, exposition
from headrace.gateway.own_port import own_port
from headrace.gateway.reloading import ReadSettings, follow_settings
from headrace.gateway.secret_files import SecretFiles
from headrace.gateway.settings import Settings
from headrace.service import logs, serving
from headrace.service.folder_lock import hold_folder
from headrace.service.http.answers import Response
from headrace.service.http.app import HttpApp
from headrace.service.http.operations import add_health_routes
from headrace.service.http.pages import About, signposted
from headrace.service.http.requests import Request
from headrace.service.http.server import open_http_server
from headrace.service.private_files import make_private
from headrace.service.socket_folders import private_folder
from headrace.service.tls_serving import TlsMetrics
from headrace.state.records import ReplicaRecord

logger = logging.getLogger(__name__)

LOCK_NAME = "lock"
OWN_FILES = (LOCK_NAME, "endpoints")
"""What a gateway has in its data folder."""
_LONGEST_SOCKET = "admin-1000.sock"
_ASK_SECONDS = 5.0
_NO_MODEL = "headrace-gateway"
"""Replicas are asked for with what they have of this model alone: all of thousands of models, twice a
second, would keep the registry busy. There need not be such a model."""
_ABOUT = About(
    "Headrace gateway, metrics",
    "This port of the gateway is for those who operate it. Callers have another: 8443 with TLS, 8080 "
    "without.",
    {
        "/metrics": "metrics for Prometheus: the gateway's own, and Envoy's",
        "/healthz": "whether the process answers",
        "/readyz": "whether callers are served, and why not",
    },
)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway: where it listens, and its parts."""

    address: str
    http_address: str
    edge: Edge
    follower: ReplicaFollower


async def main(
    settings: Settings, stopping: asyncio.Event, read_again: ReadSettings | None = None
) -> None:
    """Run a gateway until `stopping` is set. Raises HeadraceError where it cannot."""
    async with open_gateway(settings, stopping, read_again) as gateway:
        where = {"edge": gateway.address, "http": gateway.http_address}
        serving.announce_ready(where, settings.ready_fd)
        await stopping.wait()
        await asyncio.sleep(gateway.edge.settings.grace_seconds)


@asynccontextmanager
async def open_gateway(
    settings: Settings, stopping: asyncio.Event, read_again: ReadSettings | None = None
) -> AsyncIterator[Gateway]:
    """A gateway that serves while inside; on leaving it drains.

    `read_again` gives the settings as they are now, where they may change. Raises FailedPrecondition.
    """
    binary = await asyncio.to_thread(find_envoy, settings.envoy)
    logger.info("Envoy found", extra={"path": str(binary.path), "version": binary.version})
    async with AsyncExitStack() as stack:
        stack.enter_context(hold_folder(settings.data, LOCK_NAME, "a gateway"))
        make_private(settings.data, OWN_FILES)
        private = stack.enter_context(private_folder("gateway", settings.data, _LONGEST_SOCKET))
        places = Places(settings.data.absolute(), private)
        port = stack.enter_context(own_port(settings.host, settings.planned_port))
        form = logs.chosen_form(settings.log_format)
        settings = replace(settings, port=port, log_format=form)
        client = await stack.enter_async_context(_client(settings))
        read = partial(_read_replicas, client)
        follower = ReplicaFollower(read, places, settings.drain_notice_seconds)
        follower.prepare()
        await follower.follow()
        secrets = SecretFiles(settings, places)
        secrets.write()
        edge = Edge(EnvoyStarter(binary, places), settings)
        stack.push_async_callback(edge.stop)
        await edge.start()
        jobs = await stack.enter_async_context(serving.open_background())
        jobs.run(edge.keep_running())
        jobs.run(follower.run(settings.follow_seconds))
        jobs.run(secrets.run())
        if read_again is not None and settings.settings_file is not None:
            jobs.run(follow_settings(edge, settings.settings_file, read_again))
        stack.enter_context(_on_signal(signal.SIGUSR1, partial(_open_logs_anew, edge, jobs)))
        operations = _operations(edge, follower, secrets, stopping)
        http_port = await stack.enter_async_context(
            open_http_server(operations, settings.http_host, settings.http_port)
        )
        yield Gateway(
            addresses.join(settings.host, port),
            addresses.join(settings.http_host, http_port),
            edge,
            follower,
        )
        await edge.drain(edge.settings.drain_seconds)


@asynccontextmanager
async def _client(settings: Settings) -> AsyncIterator[AsyncClient]:
    asking = ClientSettings(
        registry=settings.registry_address,
        tls_ca=settings.peer_tls_ca,
        tls_cert=settings.peer_tls_cert,
        tls_key=settings.peer_tls_key,
        tls_name=settings.peer_tls_name,
        token_file=settings.token_file,
        actor="gateway",
        timeout_seconds=_ASK_SECONDS,
        first_contact_seconds=1.0,
        retry_share=0.0,
    )
    async with AsyncClient(settings=asking) as client:
        yield client


async def _read_replicas(client: AsyncClient) -> list[ReplicaRecord]:
    return await client.replicas(model=_NO_MODEL)


def _operations(
    edge: Edge, follower: ReplicaFollower, secrets: SecretFiles, stopping: asyncio.Event
) -> HttpApp:
    app = signposted(_ABOUT)
    metrics = CollectorRegistry()
    metrics.register(GatewayMetrics(edge, follower))
    metrics.register(TlsMetrics(secrets.of_server))
    add_health_routes(app, partial(_readiness, edge, follower, secrets, stopping))

    async def show(_: Request) -> Response:
        return Response(await exposition(metrics, edge), CONTENT_TYPE)

    app.add("GET", "/metrics", show)
    return app


def _readiness(
    edge: Edge, follower: ReplicaFollower, secrets: SecretFiles, stopping: asyncio.Event
) -> tuple[bool, Mapping[str, object]]:
    """Ready while Envoy serves: also without the registry, with the replicas known last."""
    return edge.pid is not None and not stopping.is_set(), {
        "stopping": stopping.is_set(),
        "envoy": edge.pid,
        "replicas": follower.known.count(EndpointState.HEALTHY),
        "draining": follower.known.count(EndpointState.DRAINING),
        "registry_problem": follower.problem,
        "tls_problems": secrets.problems,
        "settings_refused": edge.refusals,
    }


@contextmanager
def _on_signal(number: signal.Signals, act: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(number, act)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)


def _open_logs_anew(edge: Edge, jobs: serving.Background) -> None:
    async def tell() -> None:
        try:
            if edge.admin is not None:
                await edge.admin.open_logs_anew()
        except errors.Unavailable as error:
            logger.warning("the access log could not be opened anew: %s", error)

    jobs.run(tell())
