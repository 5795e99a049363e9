"""The log in a real server: changes of large records, again and again, do not fill its memory."""

from __future__ import annotations

from dataclasses import replace

from headrace.state.connection import open_redis
from headrace.state.follower import StateFollower
from headrace.state.keys import Keys
from headrace.state.record_collections import MODELS
from headrace_registry.adapters.shared_state.change_log import RedisChangeLog
from headrace_registry.domain.decisions.decision_context import DecisionContext
from tests.rpc.test_state_collections import EDIT, MODEL

LARGE = replace(MODEL, description="x" * 20_000)
CHANGES = 400
BYTES_KEPT = 2 << 20


async def test_large_changes_leave_room_for_fewer(redis_url: str, namespace: str) -> None:
    """Fewer are kept, the newest among them, and the state is the newest."""
    keys = Keys(namespace)
    async with open_redis(redis_url) as redis:
        log, follower = (
            RedisChangeLog(redis, keys, bytes_kept=BYTES_KEPT),
            StateFollower(redis, keys),
        )
        await follower.start(log.begin)
        for number in range(CHANGES):
            context = DecisionContext(follower.catalog, "ada", float(number))
            records = {MODELS.name: {"digits": replace(LARGE, keep_latest=number)}}
            decision = context.change(EDIT.kind, EDIT.resource, records)
            await log.commit(decision, None, follower.point)
            await follower.refresh()
        memory = await redis.memory_usage(keys.changes, samples=0)
        older = await log.read_after(0)
        newest = (await log.read_up_to(CHANGES)).entries[-1]
    assert memory is not None
    assert memory < 2 * BYTES_KEPT
    assert older.entries[0].change.revision > 1
    assert (CHANGES, CHANGES - 1) == (
        newest.change.revision,
        follower.catalog.models["digits"].keep_latest,
    )
