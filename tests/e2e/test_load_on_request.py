"""A suite whose replica holds fewer models than there are: all answer, names move, pins stay."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from headrace import AsyncClient
from headrace.state.records import LoadState
from tests.e2e.models import scaling
from tests.e2e.traffic import client_of, push
from tests.suite import running_suite

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]

CAPS = {
    "HEADRACE_INFERENCE_MAX_LOADED_VERSIONS": "2",
    "HEADRACE_INFERENCE_TUNING_SECONDS": "0",
}
FACTORS = {"a": 2.0, "b": 3.0, "c": 4.0, "d": 5.0}


async def answer(client: AsyncClient, model: str) -> float:
    """What a model makes of 1."""
    result = await client.infer(model, {"x": np.ones((1, 2), dtype=np.float32)})
    return float(result.outputs["y"].ravel()[0])


async def loaded(client: AsyncClient) -> dict[str, LoadState]:
    """What the one replica says it has of each model."""
    (replica,) = await client.replicas()
    assert replica.loads_on_request
    return {version.model: version.state for version in replica.versions}


async def until_loaded(client: AsyncClient, model: str) -> None:
    """Return when the replica has said that a model is loaded, which it tells a moment later."""
    async with asyncio.timeout(30):
        while LoadState.READY is not (await loaded(client)).get(model):  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.1)


async def until_standing_by(client: AsyncClient, model: str) -> None:
    """Return when a model is shown as ready on the replica, and as not loaded."""
    async with asyncio.timeout(30):
        while True:
            (replica,) = await client.replicas(model=model)
            (version,) = [one for one in replica.versions if one.model == model][-1:]
            if version.state is LoadState.READY and "standby" in version.reason:
                return
            await asyncio.sleep(0.1)


async def test_more_models_than_may_be_loaded(tmp_path: Path) -> None:
    """Pushes, requests, a route that moves to a version on standby and back, a pin, and a restart."""
    async with running_suite(tmp_path, environ=CAPS) as suite, client_of(suite) as client:
        for model, factor in FACTORS.items():
            await push(client, model, scaling(factor))
        for _ in range(2):
            for model, factor in FACTORS.items():
                assert factor == await answer(client, model)
                assert len(await loaded(client)) <= 3  # one may be about to go
        await until_standing_by(client, "a")
        await client.wait_until_ready("a", 1)  # what stands by is ready to whoever waits for it
        await client.update_model("a", pinned=True)
        for model in ("a", "b", "c", "d", "b"):
            assert FACTORS[model] == await answer(client, model)
        await until_loaded(client, "a")
        await push(client, "b", scaling(6.0))
        await client.set_route("b", stable=2)
        for model in ("c", "d"):
            assert FACTORS[model] == await answer(client, model)
        await client.rollback("b")
        assert FACTORS["b"] == await answer(client, "b")
        killed = suite.kill("replica-0")
        await suite.wait_until_back("replica-0", killed)
        await until_loaded(client, "a")
        for model, factor in FACTORS.items():
            assert factor == await answer(client, model)
