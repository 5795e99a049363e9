"""`headrace retrain` against a real suite: promoted, rejected, taken back, killed at each step."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from headrace import errors
from headrace.client import AsyncClient
from headrace.lifecycle.retraining.journal import Outcome, Step
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
from tests.suite import running_suite
from tests.unit.headrace.lifecycle.graphs import linear

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


async def test_runs_are_promoted_rejected_and_taken_back(tmp_path: Path) -> None:
    """By what they are worth on data, and by what they do with live requests."""
    async with running_suite(tmp_path / "suite") as suite, client_of(suite) as client:
        file = written(tmp_path, "good")
        assert 0 == (await ended(await retrain(suite, file, "--now")))[0]
        assert (1, 1) == await serving(client)

        status, said = await ended(await retrain(suite, written(tmp_path, "bad"), "--now"))
        assert (1, True) == (status, "rejected" in said)
        assert "accuracy" in said
        assert (1, 1) == await serving(client)
        rejected, first = [await client.annotations("census", number) for number in (2, 1)]
        assert rejected.lineage is not None
        assert ("retrain", 1) == (rejected.lineage.method, rejected.lineage.parent_version)
        accuracies = [said.metric("accuracy") for said in (rejected, first)]
        assert [0.0, 1.0] == [round(metric.value) for metric in accuracies if metric]

        trial = "canary: {weight: 20, for: 1s, poll: 0.1s}"
        status, said = await ended(await retrain(suite, written(tmp_path, "good", trial), "--now"))
        assert 0 == status, said
        assert (3, 3) == await serving(client)
        reasons = [change.reason for change in await client.audit(model="census")]
        assert 2 <= sum("20 % of the traffic" in text or "promoted" in text for text in reasons)

        wary = "canary: {weight: 20, for: 1h, poll: 0.1s, max_error_rate: 0.1}"
        process = await retrain(suite, written(tmp_path, "good", wary), "--now")
        await ask_wrongly_until_it_ends(client, process, 4)
        status, said = await ended(process)
        assert (1, True) == (status, "taken back" in said), said
        route = await client.route("census")
        assert (3, None) == (route.stable, route.canary)
        outcomes = [run.ended and run.ended.outcome for run in journal(file).runs.values()]
        expected = [Outcome.PROMOTED, Outcome.REJECTED, Outcome.PROMOTED, Outcome.TAKEN_BACK]
        assert expected == outcomes


async def ask_wrongly_until_it_ends(
    client: AsyncClient, process: asyncio.subprocess.Process, version: int
) -> None:
    """Requests that the version on trial cannot answer."""
    wrong = {"x": [[1.0, 2.0, 3.0]]}
    async with asyncio.timeout(90):
        while process.returncode is None:
            with suppress(errors.HeadraceError):
                await client.infer("census", wrong, version=version)
            await asyncio.sleep(0.05)


@pytest.mark.toolchain
async def test_a_killed_run_goes_on_and_does_nothing_twice(tmp_path: Path) -> None:
    """Killed at each step: one version, one trial, promoted in the end, and no command left running."""
    async with running_suite(tmp_path / "suite") as suite, client_of(suite) as client:
        await client.push("census", linear([[0.0, 0.0], [0.0, 0.0]], [0.0, 0.1]))
        trial = "canary: {weight: 20, for: 3s, poll: 0.1s}"
        file = written(tmp_path, "good", trial, slow=1)
        for step in (Step.TRAIN, Step.PUSH, Step.EVALUATE, Step.CANARY, Step.OBSERVE, Step.PROMOTE):
            process = await retrain(suite, file, "--now")
            await until(file, step)
            if process.returncode is None:
                os.kill(process.pid, signal.SIGKILL)
            await process.communicate()
        assert 0 == (await ended(await retrain(suite, file, "--now")))[0] or (
            Outcome.PROMOTED in outcomes(file)
        )
        runs = list(journal(file).runs.values())
        versions = await client.versions("census")
        assert len(runs) == len(versions) - 1
        assert all(run.ended is not None for run in runs)
        assert (versions[0].number,) * 2 == await serving(client)
        assert (await client.route("census")).canary is None
        assert "headrace.retraining" not in (await client.model("census")).labels


@pytest.mark.toolchain
async def test_of_two_at_once_one_is_refused(tmp_path: Path) -> None:
    """On one machine by a lock, on two by the registry: here by another folder for the journal."""
    async with running_suite(tmp_path / "suite") as suite, client_of(suite):
        file = written(tmp_path, "good", slow=3)
        first = await retrain(suite, file, "--now")
        await until(file, Step.TRAIN)
        other = f"--state={tmp_path / 'other'}"
        refused = [
            await ended(await retrain(suite, file, "--now")),
            await ended(await retrain(suite, file, "--now", other)),
        ]
        assert [True, True] == [
            "RETRAINING_UNDER_WAY" in said or "retrains" in said for _, said in refused
        ]
        assert all(status for status, _ in refused)
        assert 0 == (await ended(first))[0]
