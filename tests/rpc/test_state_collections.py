"""A collection is registered, and no more: script, log, snapshots, followers and watches have it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from headrace import errors
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.state.changes import ChangedResource
from headrace.state.connection import Redis, open_redis
from headrace.state.follower import StateFollower
from headrace.state.keys import Keys
from headrace.state.reader import read_position
from headrace.state.record_collections import COLLECTIONS, MODELS, Collection
from headrace.state.records import ModelRecord
from headrace_registry.adapters.shared_state.change_log import RedisChangeLog
from headrace_registry.adapters.shared_state.epochs import RedisEpochs
from headrace_registry.domain.decisions.decision import Records
from headrace_registry.domain.decisions.decision_context import DecisionContext
from tests.rpc.registry_fixtures import running_registry, take_changes
from tests.rpc.test_inference_readiness import replica

ROLLOUT = "models/digits/rollouts/slow"
RULE = "alerts/latency"
EDIT = ChangedResource("model.update", "models/digits")


@dataclass(frozen=True, slots=True)
class Rollout:
    """A made-up record."""

    steps: tuple[int, ...]
    paused: bool = False


ROLLOUTS = Collection("rollouts", "rollout", Rollout)
RULES = Collection("alert_rules", "alert", Rollout)


@pytest.fixture
def registered() -> Iterator[None]:
    """The made-up collections are known while a test runs."""
    COLLECTIONS.register(ROLLOUTS)
    COLLECTIONS.register(RULES)
    yield
    COLLECTIONS.remove(ROLLOUTS.name)
    COLLECTIONS.remove(RULES.name)


MODEL = ModelRecord("digits", 1.0, keep_latest=2, revision=1)


@dataclass(frozen=True, slots=True)
class State:
    """A state in a real server, and a follower that has read it."""

    redis: Redis
    keys: Keys
    follower: StateFollower

    async def make(
        self,
        kind: str,
        resource: str,
        records: Records,
        further: tuple[ChangedResource, ...] = (),
    ) -> None:
        """Make a change as the registry does, decided on what the follower knows."""
        context = DecisionContext(self.follower.catalog, "ada", 2.0)
        decision = context.change(kind, resource, records, further)
        await RedisChangeLog(self.redis, self.keys).commit(decision, None, self.follower.point)
        await self.follower.refresh()

    async def roll_out(self) -> ModelRecord:
        """One change of three resources in three collections; the model as it is then."""
        moved = replace(MODEL, description="rolled out", revision=2)
        records: Records = {
            ROLLOUTS.name: {ROLLOUT: Rollout((5, 50))},
            RULES.name: {RULE: Rollout((1,), paused=True)},
            MODELS.name: {"digits": moved},
        }
        further = (ChangedResource("alert.create", RULE), EDIT)
        await self.make("rollout.create", ROLLOUT, records, further)
        return moved


@asynccontextmanager
async def started(url: str, namespace: str) -> AsyncIterator[State]:
    """A state with one model."""
    keys = Keys(namespace)
    async with open_redis(url) as redis:
        state = State(redis, keys, StateFollower(redis, keys))
        await state.follower.start(RedisChangeLog(redis, keys).begin)
        await state.make("model.create", "models/digits", {MODELS.name: {"digits": MODEL}})
        yield state


@pytest.mark.usefixtures("registered")
async def test_one_change_of_several_collections_is_one_revision_everywhere(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Registry and replica follow it, a watch tells all of it at once, and what starts later reads it."""
    async with (
        started(redis_url, namespace) as state,
        running_registry(redis_url, namespace, tmp_path / "registry") as running,
        replica(redis_url, namespace, tmp_path / "replica") as serving,
    ):
        watch = running.stub.WatchChanges(pb.WatchChangesRequest(start_revision=1))
        of_model = running.stub.WatchChanges(
            pb.WatchChangesRequest(start_revision=1, model="models/digits")
        )
        moved = await state.roll_out()
        await serving.follower.wait_for_revision(2)
        (told,) = await take_changes(watch, 1)
        (told_of_model,) = await take_changes(of_model, 1)
        watch.cancel()
        of_model.cancel()
        entry: Any = await state.redis.xrange(state.keys.changes, "2-0", "2-0")
    catalogs = [state.follower.catalog, serving.follower.catalog]
    for catalog in catalogs:
        assert {ROLLOUT: Rollout((5, 50))} == catalog.of(ROLLOUTS)
        assert {RULE: Rollout((1,), paused=True)} == catalog.of(RULES)
        assert moved == catalog.models["digits"]
    assert told == told_of_model
    assert (2, "rollout.create", ROLLOUT) == (told.revision, told.kind, told.resource)
    assert ("rollouts", {"steps": [5, 50]}) == (
        told.record.collection,
        json.loads(told.record.json),
    )
    assert ["alert.create", "model.update"] == [each.kind for each in told.further]
    assert {"steps": [1], "paused": True} == json.loads(told.further[0].record.json)
    assert (2, "rolled out") == (
        told.further[1].model.keep_latest,
        told.further[1].model.description,
    )
    logged = json.loads(entry[0][1][b"change"])
    assert {ROLLOUT: None} == logged["rollouts_before"]
    assert {"revision": 1, "description": ""} == logged["models_before"]["digits"]


@pytest.mark.usefixtures("registered")
async def test_changes_and_deletions_of_further_records_are_followed(
    redis_url: str, namespace: str
) -> None:
    """What a follower applies is what a snapshot of then says."""
    async with started(redis_url, namespace) as state:
        await state.roll_out()
        records: Records = {
            ROLLOUTS.name: {ROLLOUT: Rollout((5, 50), paused=True)},
            RULES.name: {RULE: None},
        }
        further = (ChangedResource("alert.delete", RULE),)
        await state.make("rollout.update", ROLLOUT, records, further)
        fresh = StateFollower(state.redis, state.keys)
        await fresh.refresh()
        entry: Any = await state.redis.xrange(state.keys.changes, "3-0", "3-0")
        counts = await state.redis.get(state.keys.counts)
    assert {ROLLOUT: Rollout((5, 50), paused=True)} == fresh.catalog.of(ROLLOUTS)
    assert {} == fresh.catalog.of(RULES)
    logged = json.loads(entry[0][1][b"change"])
    assert {ROLLOUT: {"steps": [5, 50]}} == logged["rollouts_before"]
    assert {RULE: None} == logged["alert_rules"]
    assert b"3:1:0:1:rollouts=1" == counts


@pytest.mark.usefixtures("registered")
async def test_a_further_record_that_is_gone_is_noticed(redis_url: str, namespace: str) -> None:
    """By the script, by who follows, and by who reads it anew."""
    async with started(redis_url, namespace) as state:
        await state.roll_out()
        await state.redis.delete(state.keys.collection(ROLLOUTS.name))
        with pytest.raises(errors.Unavailable) as of_position:
            await read_position(state.redis, state.keys)
        with pytest.raises(errors.Unavailable) as of_script:
            await state.make("model.delete", "models/x", {})
        with pytest.raises(errors.Unavailable) as of_snapshot:
            await StateFollower(state.redis, state.keys).refresh()
    for caught in (of_position, of_script, of_snapshot):
        assert "STATE_NOT_WHOLE" == caught.value.reason
    assert "has 1 of rollouts, and 0 are there" in of_snapshot.value.message


async def test_who_does_not_know_a_collection_leaves_it_alone(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """An older registry follows and tells the change, and its own changes keep what was counted."""
    async with started(redis_url, namespace) as state:
        COLLECTIONS.register(ROLLOUTS)
        COLLECTIONS.register(RULES)
        try:
            await state.roll_out()
        finally:
            COLLECTIONS.remove(ROLLOUTS.name)
            COLLECTIONS.remove(RULES.name)
        async with running_registry(redis_url, namespace, tmp_path) as running:
            watch = running.stub.WatchChanges(pb.WatchChangesRequest(start_revision=1))
            (told,) = await take_changes(watch, 1)
            watch.cancel()
            await running.stub.CreateModel(pb.CreateModelRequest(model={"name": "models/m"}))
        counts = await state.redis.get(state.keys.counts)
        point = await RedisChangeLog(state.redis, state.keys).newest()
        assert await RedisEpochs(state.redis, state.keys, lambda: 1.0).begin(point, 20, {})
        recounted = await state.redis.get(state.keys.counts)
        kept = await state.redis.hlen(state.keys.collection(ROLLOUTS.name))
    assert ("rollout.create", None) == (told.kind, told.WhichOneof("after"))
    assert (2, "rolled out") == (
        told.further[1].model.keep_latest,
        told.further[1].model.description,
    )
    assert b"3:2:0:2:rollouts=1:alert_rules=1" == counts
    assert b"20:2:0:2:rollouts=1:alert_rules=1" == recounted
    assert 1 == kept
