"""A real registry whose server loses acknowledged changes: restored, cut at its end, or emptied."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.service.serving import open_background
from headrace.state.connection import open_redis
from headrace.state.follower import StateFollower
from headrace.state.history import Point
from headrace.state.keys import Keys
from headrace.state.reader import read_point
from tests.rpc.registry_fixtures import (
    RunningRegistry,
    eventually,
    onnx_file,
    push,
    running_registry,
)
from tests.state_server import StateServer, open_state_server

LOST = "lacks changes"


async def restart_with(server: StateServer, backup: Path | None) -> None:
    """Restart the server with what was copied, or with nothing."""
    await server.stop()
    if backup is None:
        server.empty()
    else:
        server.restore(backup)
    await server.start()


async def point_of(server: StateServer, namespace: str) -> Point:
    """The point that the state is at."""
    async with open_redis(server.url) as redis:
        return await read_point(redis, Keys(namespace))


async def pushed(running: RunningRegistry) -> int:
    """The number that a push gets."""
    return (await push(running, onnx_file())).number


async def create(running: RunningRegistry, *names: str) -> None:
    """Make models."""
    for name in names:
        await running.stub.CreateModel(pb.CreateModelRequest(model={"name": f"models/{name}"}))


async def number_when_possible(running: RunningRegistry) -> int:
    """The number that a push gets as soon as one is taken."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await pushed(running)
            except Exception:  # noqa: BLE001 (the server is away, or not read yet)
                await asyncio.sleep(0.05)


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines about lost changes."""
    return [record.message for record in caplog.records if LOST in record.message]


@pytest.mark.parametrize("restarted", [True, False])
async def test_a_restored_backup_begins_a_new_epoch(
    namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, restarted: bool
) -> None:
    """Followers list again, and the numbers of lost versions are not given out again."""
    async with (
        open_state_server(tmp_path / "state") as server,
        AsyncExitStack() as stack,
        open_redis(server.url) as redis,
        open_background() as jobs,
    ):
        registry = running_registry(server.url, namespace, tmp_path / "registry")
        running = await registry.__aenter__()
        assert 1 == await pushed(running)
        server.back_up(tmp_path / "copy")
        assert 2 == await pushed(running)
        follower = StateFollower(redis, Keys(namespace))
        jobs.run(follower.run())
        await follower.wait_for_revision(2)
        before = await point_of(server, namespace)
        if restarted:
            await registry.__aexit__(None, None, None)
        await restart_with(server, tmp_path / "copy")
        if restarted:
            registry = running_registry(server.url, namespace, tmp_path / "registry")
            running = await registry.__aenter__()
        stack.push_async_exit(registry)
        number = await number_when_possible(running)
        after = await point_of(server, namespace)
        await eventually(lambda: follower.point == after)
        listed = await running.stub.ListVersions(pb.ListVersionsRequest(parent="models/digits"))
    assert number > 2, "perhaps not 3: a push that failed meanwhile had been given that"
    assert [number, 1] == [version.number for version in listed.versions]
    assert [1, number] == sorted(version for _, version in follower.catalog.versions)
    assert before.epoch != after.epoch
    assert before.revision < after.revision
    assert 1 == len(errors_in(caplog))


async def test_a_history_that_was_cut_and_written_on_begins_a_new_epoch(
    namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another registry made as many other changes: the epoch and the revision do not tell."""
    async with open_state_server(tmp_path / "state") as server:
        one = running_registry(server.url, namespace, tmp_path / "one")
        async with one as running:
            await create(running, "m1")
            server.back_up(tmp_path / "copy")
            await create(running, "m2", "m3")
        await restart_with(server, tmp_path / "copy")
        async with running_registry(server.url, namespace, tmp_path / "two") as other:
            await create(other, "other2", "other3", "other4")
        between = await point_of(server, namespace)
        assert [] == errors_in(caplog)
        async with running_registry(server.url, namespace, tmp_path / "one") as running:
            listed = await running.stub.ListModels(pb.ListModelsRequest())
        after = await point_of(server, namespace)
    assert 4 == len(listed.models)
    assert between.epoch != after.epoch
    assert 1 == len(errors_in(caplog))


async def test_two_registries_agree_on_one_new_epoch(namespace: str, tmp_path: Path) -> None:
    """The one that comes second goes on from the first one's epoch, and both give out new numbers."""
    async with open_state_server(tmp_path / "state") as server:
        async with (
            running_registry(server.url, namespace, tmp_path / "one") as one,
            running_registry(server.url, namespace, tmp_path / "two") as two,
        ):
            await pushed(one)
            server.back_up(tmp_path / "copy")
            assert 2 == await pushed(two)
            await create(one, "lost")
            await restart_with(server, tmp_path / "copy")
            first = await number_when_possible(two)
            epoch = (await point_of(server, namespace)).epoch
            second = await number_when_possible(one)
            assert epoch == (await point_of(server, namespace)).epoch
        async with running_registry(server.url, namespace, tmp_path / "one") as one:
            await one.stub.ListModels(pb.ListModelsRequest())
        assert epoch == (await point_of(server, namespace)).epoch
    assert 2 < first < second


@pytest.mark.parametrize("folder", ["restored", "another"])
async def test_a_state_with_more_than_was_noted_goes_on(
    namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, folder: str
) -> None:
    """A registry restarts in its epoch: with an older note, and in a folder without one."""
    data = tmp_path / "registry"
    async with open_state_server(tmp_path / "state") as server:
        async with running_registry(server.url, namespace, data) as running:
            await create(running, "m1")
            shutil.copytree(data / "history", tmp_path / "older")
            await create(running, "m2", "m3")
        before = await point_of(server, namespace)
        if folder == "restored":
            shutil.rmtree(data / "history")
            shutil.copytree(tmp_path / "older", data / "history")
        else:
            data = tmp_path / "another"
        async with running_registry(server.url, namespace, data) as running:
            await create(running, "m4")
        after = await point_of(server, namespace)
    assert (before.epoch, before.revision + 1) == (after.epoch, after.revision)
    assert [] == errors_in(caplog)


async def test_an_emptied_state_gives_out_no_number_again(
    namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The registry begins a new state when it is restarted, which is an error in its log."""
    async with open_state_server(tmp_path / "state") as server:
        async with running_registry(server.url, namespace, tmp_path / "registry") as running:
            await pushed(running)
            server.back_up(tmp_path / "copy")
        await restart_with(server, None)
        async with running_registry(server.url, namespace, tmp_path / "registry") as running:
            listed = await running.stub.ListModels(pb.ListModelsRequest())
            assert 2 == await number_when_possible(running)
        assert 1 == len(errors_in(caplog))
        await restart_with(server, tmp_path / "copy")
        async with running_registry(server.url, namespace, tmp_path / "registry") as running:
            assert 3 == await number_when_possible(running)
        assert 2 == len(errors_in(caplog))
    assert [] == list(listed.models)
