"""Follows the shared state for ever: what changes there goes to watches, to access and to the note."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress

from headrace import errors
from headrace.registry.v1 import access_service_pb2
from headrace.security.access import Access
from headrace.state.follower import StateFollower, Update
from headrace.state.rights import CatalogRights
from headrace.state.schema import is_newer
from headrace_registry.adapters.shared_state.change_log import RedisChangeLog
from headrace_registry.adapters.shared_state.noted_log import note_followed
from headrace_registry.app.shared_state import SharedState
from headrace_registry.domain.history.rights_watches import RightsWatches
from headrace_registry.domain.history.watches import Watches
from headrace_registry.domain.pushes.blob_garbage import BlobGarbage

logger = logging.getLogger(__name__)

GARBAGE_SECONDS = 2.0


def follow_jobs(
    state: SharedState,
    watches: Watches,
    rights_watches: RightsWatches[access_service_pb2.WatchRightsResponse],
    pause: float | None,
    stopping: asyncio.Event,
) -> list[Coroutine[None, None, None]]:
    """Return what runs as long as the registry does; the state is read after `pause`, None: it was."""
    return [
        _follow(state.log, state.follower, pause),
        note_followed(state.note, state.follower),
        state.note.keep_synced(),
        _fill(watches, state.follower),
        watches.mark_for_ever(),
        _stop(watches, rights_watches, stopping),
    ]


def serve(
    watches: Watches,
    rights_watches: RightsWatches[access_service_pb2.WatchRightsResponse],
    rights: CatalogRights,
    access: Access,
    update: Update,
) -> None:
    """Take an update of the state to all that show it."""
    rights_watches.update(update.catalog)
    if changed := rights.changed(update.catalog):
        access.rights = changed
    if update.entries:
        watches.extend(update.entries)
    else:
        watches.begin(update.point)


async def _fill(watches: Watches, follower: StateFollower) -> None:
    """Have the changes before a state that was read anew in memory: all who watched come back at once."""
    async for update in follower.updates():
        if not update.entries:
            with suppress(errors.Unavailable):
                await watches.fill()


async def _stop(
    watches: Watches,
    rights_watches: RightsWatches[access_service_pb2.WatchRightsResponse],
    stopping: asyncio.Event,
) -> None:
    await stopping.wait()
    watches.stop()
    rights_watches.stop()


async def collect_garbage(garbage: BlobGarbage, follower: StateFollower) -> None:
    """Remove, for ever, what interrupted pushes and deletes left; only while the state can be followed."""
    while True:
        await asyncio.sleep(GARBAGE_SECONDS)
        if follower.synced and follower.problem is None and not is_newer(follower.schema):
            try:
                await garbage.collect_orphans()
            except (OSError, errors.HeadraceError) as error:
                logger.warning("what interrupted pushes left stays for now: %s", error)


async def _follow(log: RedisChangeLog, follower: StateFollower, pause: float | None) -> None:
    while pause is not None:
        await asyncio.sleep(pause)
        pause = await follower.start(log.begin)
    await follower.run()
