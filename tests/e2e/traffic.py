"""Requests that keep flowing while something else happens, each answer checked."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import numpy as np

from headrace import AsyncClient, HeadraceError
from tests.suite import RunningSuite

CALLERS = 4


class Traffic:
    """What callers were told: answers by version, and every failure."""

    def __init__(self, client: AsyncClient, model: str, factors: Mapping[int, float]) -> None:
        self._client = client
        self._model = model
        self._factors = factors
        self._answered = asyncio.Condition()
        self.answers: Counter[int] = Counter()
        self.failures: list[HeadraceError] = []

    @property
    def count(self) -> int:
        """How many requests were answered well."""
        return self.answers.total()

    async def call_for_ever(self) -> None:
        """One caller: ask, check, ask again."""
        x = np.array([[1.0, 2.0]], np.float32)
        while True:
            try:
                answer = await self._client.infer(self._model, {"x": x}, timeout_seconds=20)
            except HeadraceError as error:
                self.failures.append(error)
                await asyncio.sleep(0.01)
                continue
            version = int(answer.model_version)
            np.testing.assert_array_equal(answer.outputs["y"], x * self._factors[version])
            async with self._answered:
                self.answers[version] += 1
                self._answered.notify_all()

    async def wait_for_more(self, count: int = 200, version: int | None = None) -> None:
        """Wait until so many more requests were answered well (by this version)."""

        def answered() -> int:
            return self.count if version is None else self.answers[version]

        wanted = answered() + count
        async with asyncio.timeout(30), self._answered:
            await self._answered.wait_for(lambda: answered() >= wanted)


@asynccontextmanager
async def flowing(
    client: AsyncClient, model: str, factors: Mapping[int, float]
) -> AsyncIterator[Traffic]:
    """Callers that do not stop while inside; answers name the version, whose factor is checked."""
    traffic = Traffic(client, model, factors)
    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(traffic.call_for_ever()) for _ in range(CALLERS)]
        try:
            yield traffic
        finally:
            for caller in callers:
                caller.cancel()


def client_of(suite: RunningSuite, replica: int = 0) -> AsyncClient:
    """A client of the suite and one of its replicas."""
    address = suite.ready["inference"][replica]["grpc"]
    return AsyncClient(registry=suite.registry, inference=address, monitor=suite.monitor)


async def push(client: AsyncClient, model: str, graph: bytes) -> int:
    """Push a version and wait until every replica serves it; its number."""
    version = await client.push(model, graph, timeout_seconds=60)
    await client.wait_until_ready(model, version.number, timeout_seconds=60)
    return version.number
