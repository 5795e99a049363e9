"""Replicas of tests: on free ports, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from headrace_inference.app import Replica, open_replica
from headrace_inference.settings import Settings

NO_REGISTRY = "127.0.0.1:1"


def replica_settings(
    redis_url: str, folder: Path, registry_address: str = NO_REGISTRY, **more: Any
) -> Settings:
    """Settings of a replica whose data is in a folder."""
    ports = dict.fromkeys(("grpc_port", "http_port", "metrics_port"), 0)
    given: dict[str, Any] = {"registry_address": registry_address, "data": folder}
    return Settings(redis_url=redis_url, **given | ports | more)


@asynccontextmanager
async def running_replica(
    redis_url: str, folder: Path, registry_address: str = NO_REGISTRY, **more: Any
) -> AsyncIterator[Replica]:
    """A replica that serves while inside."""
    settings = replica_settings(redis_url, folder, registry_address, **more)
    async with open_replica(settings, asyncio.Event()) as opened:
        yield opened
