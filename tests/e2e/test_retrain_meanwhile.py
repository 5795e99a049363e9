"""What happens beside a run: people who decide, services that go away, a model that is deleted."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from headrace.client import AsyncClient
from headrace.client.route_changes import with_changes
from headrace.lifecycle.retraining.journal import Outcome, Step
from headrace.state.gate_records import GateRecord
from tests.e2e.retraining import (
    client_of,
    ended,
    journal,
    outcomes,
    retrain,
    serving,
    until,
    written,
)
from tests.suite import RunningSuite, running_suite
from tests.unit.headrace.lifecycle.graphs import linear

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain, pytest.mark.timeout(300)]

TRIAL = "canary: {weight: 20, for: 1h, poll: 0.1s}"
FIRST = linear([[0.0, 0.0], [0.0, 0.0]], [0.0, 0.1])


@asynccontextmanager
async def on_trial(
    folder: Path, more: str = TRIAL
) -> AsyncIterator[tuple[RunningSuite, AsyncClient, Path, asyncio.subprocess.Process]]:
    """A run whose version is on trial beside version 1."""
    async with running_suite(folder / "suite") as suite, client_of(suite) as client:
        await client.push("census", FIRST)
        await client.update_model("census", keep_latest=3)
        file = written(folder, "good", more)
        process = await retrain(suite, file, "--now")
        await until(file, Step.OBSERVE)
        yield suite, client, file, process


async def test_people_decide(tmp_path: Path) -> None:
    """One ends the trial, one makes the version stable, one another version: none is overruled."""
    async with on_trial(tmp_path) as (suite, client, file, process):
        await change_route(client, end_trial=True)
        assert (1, True) == said(await ended(process), "ended by somebody else")

        process = await retrain(suite, file, "--now")
        await until_on_trial(client, 3)
        await change_route(client, stable=3)
        assert (0, True) == said(await ended(process), "promoted")
        assert (3, 3) == await serving(client)

        process = await retrain(suite, file, "--now")
        await until_on_trial(client, 4)
        await change_route(client, stable=2)
        assert (1, True) == said(await ended(process), "version 2 was made stable meanwhile")
        route = await client.route("census")
        assert (2, None) == (route.stable, route.canary)
        expected = [Outcome.TAKEN_BACK, Outcome.PROMOTED, Outcome.TAKEN_BACK]
        assert expected == outcomes(file)


async def test_interrupted_it_says_what_it_leaves(tmp_path: Path) -> None:
    """The trial stays, and the model is free for others; --abandon takes it back."""
    async with on_trial(tmp_path) as (suite, client, file, process):
        process.send_signal(signal.SIGINT)
        status, text = await ended(process)
        assert 130 == status, text
        assert "interrupted in step observe" in text
        assert "version 2 stays on trial" in text
        assert (await client.route("census")).canary is not None
        assert "headrace.retraining" not in (await client.model("census")).labels
        assert [None] == outcomes(file)
        status, text = await ended(await retrain(suite, file, "--abandon"))
        assert (0, True) == (status, "abandoned" in text), text
        assert (await client.route("census")).canary is None
        assert [Outcome.FAILED] == outcomes(file)


async def test_a_run_that_was_taken_over_promotes_nothing(tmp_path: Path) -> None:
    """It notices before it gives its version traffic, takes its trial back, and has failed."""
    more = "canary: {weight: 20, for: 6s, poll: 0.1s}"
    async with on_trial(tmp_path, more) as (suite, client, file, process):
        other = tmp_path / "other"
        other.mkdir()
        second = await retrain(suite, written(other, "good", slow=12), "--now", "--take-over")
        assert (1, True) == said(await ended(process), "another run took over")
        assert [Outcome.FAILED] == outcomes(file)
        assert (0, True) == said(await ended(second), "promoted")
        route = await client.route("census")
        assert (3, None) == (route.stable, route.canary)


async def test_a_gate_of_the_model_rejects(tmp_path: Path) -> None:
    """The model's own gate holds for runs, too; the first version goes on serving."""
    async with running_suite(tmp_path / "suite") as suite, client_of(suite) as client:
        await client.push("census", FIRST)
        await client.update_model("census", gate=GateRecord(require=("accuracy >= 2",)))
        found = await ended(await retrain(suite, written(tmp_path, "good"), "--now"))
        assert (1, True) == said(found, "GATE_NOT_PASSED")
        assert [Outcome.REJECTED] == outcomes(tmp_path / "retrain.yaml")
        assert 1 == (await client.route("census")).stable


async def test_each_end_is_told(tmp_path: Path) -> None:
    """To the command of the file, and in tags of the version."""
    told = "import os, pathlib; pathlib.Path('told').write_text(os.environ['HEADRACE_OUTCOME'])"
    async with running_suite(tmp_path / "suite") as suite, client_of(suite) as client:
        more = f'on_end: ["{{python}}", "-c", "{told}"]'
        found = await ended(await retrain(suite, written(tmp_path, "good", more), "--now"))
        assert (0, True) == said(found, "promoted")
        assert "promoted" == (tmp_path / "told").read_text()
        (version,) = await client.search_versions('tags.retraining_outcome = "promoted"')
        assert 1 == version.version.number


async def test_services_that_go_away_are_waited_for(tmp_path: Path) -> None:
    """The registry while the command runs, the monitor during the trial: killed, and back."""
    async with running_suite(tmp_path / "suite") as suite, client_of(suite) as client:
        await client.push("census", FIRST)
        more = "canary: {weight: 20, for: 4s, poll: 0.1s}\npatience: 2m"
        file = written(tmp_path, "good", more, slow=1)
        process = await retrain(suite, file, "--now")
        for step, service in ((Step.TRAIN, "registry"), (Step.OBSERVE, "monitor")):
            await until(file, step)
            await suite.wait_until_back(service, suite.kill(service))
        assert (0, True) == said(await ended(process), "promoted")
        assert (2, 2) == await serving(client)


async def test_a_model_that_is_deleted_ends_the_run(tmp_path: Path) -> None:
    """It is not made anew; the run has failed, and says why."""
    async with running_suite(tmp_path / "suite") as suite, client_of(suite) as client:
        await client.create_model("census")
        file = written(tmp_path, "good", slow=2)
        process = await retrain(suite, file, "--now")
        await until(file, Step.TRAIN)
        process.kill()
        await process.wait()
        await client.delete_model("census", force=True)
        assert (1, True) == said(await ended(await retrain(suite, file, "--now")), "NOT_FOUND")
        assert [Outcome.FAILED] == outcomes(file)
        assert [] == await client.models()
        assert Step.TRAIN not in next(iter(journal(file).runs.values())).done


def said(found: tuple[int, str], text: str) -> tuple[int, bool]:
    """The exit status, and that a text was printed."""
    status, printed = found
    assert text in printed, printed
    return status, True


async def change_route(client: AsyncClient, **changes: Any) -> None:
    """Change the route as a person does."""
    await client.put_route(with_changes(await client.route("census"), **changes))


async def until_on_trial(client: AsyncClient, version: int) -> None:
    """Wait until a version is on trial."""
    async with asyncio.timeout(60):
        while True:
            canary = (await client.route("census")).canary
            if canary is not None and canary.version == version:
                return
            await asyncio.sleep(0.05)
