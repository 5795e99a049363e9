"""Snapshots of the shared state, read in pages from a real server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial

import pytest

from headrace import errors
from headrace.state import reader
from headrace.state.catalog import Catalog
from headrace.state.connection import Redis, open_redis
from headrace.state.keys import Keys
from headrace.state.records import ArtifactFile, Batching, ServingConfig, Signature, VersionRecord
from headrace.state.snapshot import Snapshot, read_snapshot
from headrace_registry.adapters.shared_state.change_log import RedisChangeLog
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.resources.aliases import (
    AliasMove,
    AliasRemoval,
    delete_alias,
    move_alias,
)
from headrace_registry.domain.resources.models import (
    ModelEdit,
    ModelRemoval,
    NewModel,
    create_model,
    delete_model,
    update_model,
)
from headrace_registry.domain.resources.versions import (
    NewVersion,
    VersionRemoval,
    delete_version,
    publish_version,
)

NAMES = [f"m{place}" for place in range(12)]
NEW = partial(
    NewVersion,
    files=(ArtifactFile("model.onnx", 3, "a" * 64),),
    graph_path="model.onnx",
    signature=Signature((), ()),
    config=ServingConfig(batching=Batching(max_batch_size=4)),
    create_model=True,
)

Decide = Callable[[DecisionContext], Decision]


class Writer:
    """Makes changes as a registry does, and remembers the catalog after each."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.log = RedisChangeLog(redis, keys)
        self.catalogs = [Catalog()]
        self._redis, self._keys = redis, keys
        self._numbers: dict[str, int] = {}

    async def change(self, model: str, decide: Decide) -> None:
        """Make a change, unless it is refused."""
        present = self.catalogs[-1]
        number = self._numbers.get(model, 0)
        try:
            decision = decide(DecisionContext(present, "ada", 1.0, number))
        except errors.HeadraceError:
            return
        point = await reader.read_point(self._redis, self._keys)
        change = await self.log.commit(decision, None, point)
        self.catalogs.append(reader.apply(present, change))
        after = self.catalogs[-1].models.get(model)
        self._numbers[model] = after.last_number if after else number

    async def change_at_random(self, chance: random.Random) -> None:
        """Make a change of any kind."""
        model, number = chance.choice(NAMES), chance.randint(1, 4)
        decides: list[Decide] = [
            partial(create_model, new=NewModel(model, description="x" * 100)),
            partial(publish_version, new=NEW(model, alias=chance.choice(["", "newest"]))),
            partial(publish_version, new=NEW(model)),
            partial(move_alias, move=AliasMove(model, f"a{number}", number, allow_missing=True)),
            partial(delete_alias, removal=AliasRemoval(model, f"a{number}")),
            partial(update_model, edit=ModelEdit(model, labels={"at": str(number)})),
            partial(delete_version, removal=VersionRemoval(model, number)),
            partial(delete_model, removal=ModelRemoval(model, force=True)),
        ]
        await self.change(model, chance.choice(decides))


async def test_a_snapshot_read_while_changes_go_on_is_the_state_at_its_revision(
    redis_url: str, namespace: str
) -> None:
    """Whatever is pushed, moved and deleted between its pages."""
    keys, chance = Keys(namespace), random.Random(7)
    read: list[tuple[int, Snapshot]] = []

    async def read_until_cancelled(redis: Redis) -> None:
        while True:
            started = len(writer.catalogs) - 1
            read.append((started, await read_snapshot(redis, keys, page=2)))

    async with open_redis(redis_url) as redis, open_redis(redis_url) as another:
        writer = Writer(redis, keys)
        await writer.log.begin()
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(read_until_cancelled(another))
            for _ in range(400):
                await writer.change_at_random(chance)
            reading.cancel()
        last = await read_snapshot(another, keys)
    assert writer.catalogs[-1] == last.catalog
    assert any(snapshot.point.revision > started + 2 for started, snapshot in read)
    for _, snapshot in read:
        assert writer.catalogs[snapshot.point.revision] == snapshot.catalog


async def test_a_snapshot_begins_anew_where_changes_are_not_kept(
    redis_url: str, namespace: str
) -> None:
    """Where it cannot join what it read, it is no state that ever was."""
    keys = Keys(namespace)
    async with open_redis(redis_url) as redis, open_redis(redis_url) as another:
        writer = Writer(redis, keys)
        await writer.log.begin()
        for name in NAMES:
            await writer.change(name, partial(publish_version, new=NEW(name)))
        await redis.xtrim(keys.changes, maxlen=0, approximate=False)
        trimming = asyncio.Event()

        async def change_and_trim() -> None:
            while not trimming.is_set():
                decide = partial(update_model, edit=ModelEdit("m0", labels={"at": "1"}))
                await writer.change("m0", decide)
                await redis.xtrim(keys.changes, maxlen=0, approximate=False)

        async def read_often(redis: Redis) -> None:
            for _ in range(100):
                await read_snapshot(redis, keys, page=1)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(change_and_trim())
            with pytest.raises(errors.Unavailable) as caught:
                await read_often(another)
            trimming.set()
        snapshot = await read_snapshot(another, keys, page=1)
    assert "STATE_UNAVAILABLE" == caught.value.reason
    assert writer.catalogs[-1] == snapshot.catalog


async def test_versions_come_in_their_order(redis_url: str, namespace: str) -> None:
    """A hash gives them in none."""
    keys = Keys(namespace)
    async with open_redis(redis_url) as redis:
        writer = Writer(redis, keys)
        await writer.log.begin()
        for _ in range(30):
            await writer.change("m0", partial(publish_version, new=NEW("m0")))
        snapshot = await read_snapshot(redis, keys, page=5)
    assert list(range(1, 31)) == snapshot.catalog.numbers_of("m0")
    assert isinstance(snapshot.catalog.versions["m0", 12], VersionRecord)
