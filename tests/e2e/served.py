"""A running suite with models in it, for modules whose tests only call it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.e2e.traffic import client_of, push
from tests.suite import RunningSuite, running_suite

FRONTS = (
    "--front=native",
    "--front=grpcio",
    pytest.param("--replicas=2", marks=pytest.mark.toolchain),
)
"""The options of suites that foreign clients meet: each front, and two replicas behind one port."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a replica serves, or all that share ports, and where the registry does."""

    grpc: str
    http: str
    metrics: str
    registry: str

    @property
    def url(self) -> str:
        """The address of the REST form as a URL."""
        return f"http://{self.http}"


@contextmanager
def serving(
    folder: Path,
    models: Mapping[str, bytes],
    flags: Sequence[str] = (),
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Addresses]:
    """The addresses of what serves these models while inside; `environ` holds settings."""
    context = running_suite(folder, extra=flags, environ=environ)
    with asyncio.Runner() as runner:
        suite = runner.run(context.__aenter__())
        try:
            runner.run(_push(suite, models))
            called = suite.ready["shared"]
            addresses = (called["grpc"], called["http"], called["metrics"])
            yield Addresses(*addresses, suite.registry)
        finally:
            runner.run(context.__aexit__(None, None, None))


async def _push(suite: RunningSuite, models: Mapping[str, bytes]) -> None:
    async with client_of(suite) as client:
        for name, graph in models.items():
            await push(client, name, graph)
