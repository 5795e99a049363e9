"""A running suite with models in it, for modules whose tests only call it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.e2e.traffic import client_of, push
from tests.suite import RunningSuite, running_suite


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a replica serves, and where the registry does."""

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
    """The addresses of a replica that serves these models while inside; `environ` holds settings."""
    context = running_suite(folder, extra=flags, environ=environ)
    with asyncio.Runner() as runner:
        suite = runner.run(context.__aenter__())
        try:
            runner.run(_push(suite, models))
            replica = suite.ready["inference"][0]
            addresses = (replica["grpc"], replica["http"], replica["metrics"])
            yield Addresses(*addresses, suite.registry)
        finally:
            runner.run(context.__aexit__(None, None, None))


async def _push(suite: RunningSuite, models: Mapping[str, bytes]) -> None:
    async with client_of(suite) as client:
        for name, graph in models.items():
            await push(client, name, graph)
