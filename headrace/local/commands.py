"""Options of the suite, and the command line of each of its children."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from headrace import addresses
from headrace.local.child import Addresses
from headrace.local.gateway_child import (
    DRAIN_NOTICE_SECONDS,
    GATEWAY,
    PLAIN_PORT,
    TLS_PORT,
    GatewayOptions,
    gateway_command,
    gateway_flags,
)
from headrace.local.suite_access import SuiteAccess, token_flags
from headrace.local.suite_tls import SuiteTls
from headrace.machine.cores import usable_cores
from headrace.service import logs
from headrace.state.redis_server import RedisServer

REGISTRY = "registry"
MONITOR = "monitor"
REDIS = "redis"
REPLICA = "replica"
PORT_STEP = 10
"""From one replica's ports to the next one's: three each, with room to read them."""
SHARED = "shared"
"""The folder by which replicas that share ports find one another."""
STOP_MARGIN_SECONDS = 5.0
"""What a child may take to end after its drain before it is killed."""

Front = Literal["auto", "native", "grpcio"]


@dataclass(frozen=True, slots=True)
class SuiteOptions:
    """The suite to run. A port of 0 means a free one; `redis` None is the embedded server."""

    data: Path
    host: str = "127.0.0.1"
    redis: RedisServer | None = None
    replicas: int = 1
    registry_port: int = 8100
    registry_http_port: int = 8101
    inference_port: int = 8001
    inference_http_port: int = 8000
    inference_metrics_port: int = 8002
    monitor_port: int = 8200
    monitor_http_port: int = 8201
    front: Front = "auto"
    drain_seconds: float = 10.0
    grace_seconds: float = 0.0
    log_format: logs.Format = "auto"
    log_level: logs.Level = "info"
    tls: SuiteTls | None = None
    gateway: GatewayOptions | None = None
    access: SuiteAccess | None = None

    @property
    def shares_ports(self) -> bool:
        """Return whether replicas listen on common ports, besides their own."""
        return self.replicas > 1 and self.gateway is None

    @property
    def replica_grace_seconds(self) -> float:
        """Return how long a replica goes on serving after it was told to stop."""
        least = 0.0 if self.gateway is None else DRAIN_NOTICE_SECONDS
        return max(self.grace_seconds, least)

    @property
    def stop_seconds(self) -> float:
        """Return how long a child may take from being told to stop to its end.

        Replicas that share ports drain those before their own.
        """
        drains = 2 if self.shares_ports else 1
        return self.replica_grace_seconds + drains * self.drain_seconds + STOP_MARGIN_SECONDS

    def with_free_ports(self) -> SuiteOptions:
        """The same on ports that the system chooses."""
        return replace(
            self,
            registry_port=0,
            registry_http_port=0,
            inference_port=0,
            inference_http_port=0,
            inference_metrics_port=0,
            monitor_port=0,
            monitor_http_port=0,
            gateway=self.gateway and replace(self.gateway, port=0, http_port=0),
        )


def replica_name(index: int) -> str:
    """Return what the replica is called, in the log and among the process ids."""
    return f"replica-{index}"


def state_environ(redis: RedisServer) -> dict[str, str]:
    """Return the environment with the shared state's address, and the files with what opens it.

    Those that are not given are said to be none: what our own environment has is for us.
    """
    files = {name: str(path.absolute()) if path else "" for name, path in redis.files().items()}
    given = {"redis_url": redis.url, **files}
    return {
        f"HEADRACE_{name}_{setting}".upper(): value
        for name in (REGISTRY, "inference")
        for setting, value in given.items()
    }


def registry_command(options: SuiteOptions, before: Addresses) -> list[str]:
    """The command line that starts the registry on the addresses that it had `before`."""
    ports = {"grpc": options.registry_port, "http": options.registry_http_port}
    flags = _by_gateway(options, REGISTRY)
    return _command(options, "headrace_registry", REGISTRY, _same(ports, before), flags)


def monitor_command(options: SuiteOptions, before: Addresses, registry: str = "") -> list[str]:
    """The command line that starts the monitor on the addresses that it had `before`.

    It shows what the registry has, and is told by it who may do what.
    """
    ports = {"grpc": options.monitor_port, "http": options.monitor_http_port}
    flags = {**(options.tls.peer_flags() if options.tls else {}), **_by_gateway(options, MONITOR)}
    flags |= {"registry-address": _called_at(options, registry)} if registry else {}
    flags |= token_flags(options.data, MONITOR) if options.access else {}
    flags |= {"public-address": edge} if (edge := _edge(options)) else {}
    return _command(options, "headrace_monitor", MONITOR, _same(ports, before), flags)


def _edge(options: SuiteOptions) -> str:
    """Where the gateway is called, as far as that is known before it runs; '' without one."""
    gateway = options.gateway
    if gateway is None or gateway.port == 0 or (gateway.port is None and gateway.settings_file):
        return ""
    port = gateway.port or (TLS_PORT if options.tls else PLAIN_PORT)
    return _called_at(options, addresses.join(options.host, port))


def suite_gateway_command(options: SuiteOptions, before: Addresses) -> list[str]:
    """The command line that starts the gateway on the addresses that it had `before`."""
    assert options.gateway is not None
    flags = gateway_flags(options.gateway, REGISTRY, MONITOR, before)
    if "HEADRACE_GATEWAY_WORKERS" not in os.environ:  # replicas need the other cores
        flags["workers"] = str(max(1, usable_cores() // 4))
    if options.access:
        flags |= token_flags(options.data, GATEWAY)
    return gateway_command(_every(options, GATEWAY) | flags)


def _by_gateway(options: SuiteOptions, child: str) -> dict[str, str]:
    return options.gateway.child_flags(child) if options.gateway else {}


def replica_ports(options: SuiteOptions, index: int) -> dict[str, int]:
    """The replica's own ports. One that is alone has those of the options, which others share.

    Behind a gateway it has but the one for metrics.
    """
    steps = (index + 1) * PORT_STEP if options.replicas > 1 else 0
    ports = {name: port and port + steps for name, port in shared_ports(options).items()}
    return {"metrics": ports["metrics"]} if options.gateway else ports


def shared_ports(options: SuiteOptions) -> dict[str, int]:
    """The ports at which the replicas are called, whichever answers."""
    return {
        "grpc": options.inference_port,
        "http": options.inference_http_port,
        "metrics": options.inference_metrics_port,
    }


def replica_command(
    options: SuiteOptions,
    index: int,
    replica_id: str,
    peers: Addresses,
    before: Addresses,
    shared: Mapping[str, int] = MappingProxyType({}),
) -> list[str]:
    """The command line that starts a replica; `peers` are the addresses of registry and monitor.

    All replicas have one folder, so that a version is fetched and prepared once, and one page of its
    weights is in memory once. Those with `shared` ports plan for their part of the cores.
    """
    flags = {
        "registry-address": _called_at(options, peers[REGISTRY]),
        "monitor-address": _called_at(options, peers[MONITOR]),
        "replica-id": replica_id,
        "front": options.front,
        "grace-seconds": str(options.replica_grace_seconds),
        **(options.tls.peer_flags() if options.tls else {}),
        **_by_gateway(options, replica_name(index)),
        **(token_flags(options.data, REPLICA) if options.access else {}),
    }
    if options.replicas == 1:  # there is no other to call while it loads: it serves what it has
        flags["join-seconds"] = "0"
    if shared:
        flags |= {f"shared-{name}-port": str(port) for name, port in shared.items()}
        flags["shared-folder"] = str(options.data / SHARED)
    if options.replicas > 1:
        flags["cores"] = str(max(1, usable_cores() // options.replicas))
    ports = _same(replica_ports(options, index), before)
    return _command(options, "headrace_inference", replica_name(0), ports, flags)


def _called_at(options: SuiteOptions, address: str) -> str:
    called = addresses.reachable(address)
    return f"grpcs://{called}" if options.tls else called


def _same(ports: Mapping[str, int], before: Addresses) -> dict[str, int]:
    """The ports of the run before, which callers know, or the planned ones."""
    return {
        name: int(before[name].rpartition(":")[2]) if name in before else port
        for name, port in ports.items()
    }


def _every(options: SuiteOptions, folder: str) -> dict[str, str]:
    """The flags of every child."""
    return {
        "host": options.host,
        "data": str(options.data / folder),
        "drain-seconds": str(options.drain_seconds),
        "log-format": options.log_format,
        "log-level": options.log_level,
        **(options.tls.server_flags() if options.tls else {}),
    }


def _command(
    options: SuiteOptions,
    module: str,
    folder: str,
    ports: Mapping[str, int],
    flags: Mapping[str, str],
) -> list[str]:
    every = {
        **_every(options, folder),
        **{f"{name}-port": str(port) for name, port in ports.items()},
        **(options.access.server_flags() if options.access else {}),
        **flags,
    }
    # `--flag=value`, so that a value may begin with a dash.
    return [sys.executable, "-m", module, *(f"--{flag}={value}" for flag, value in every.items())]
