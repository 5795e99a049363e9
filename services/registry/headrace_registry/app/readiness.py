"""Whether the registry is ready, and why not."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.state.follower import StateFollower
from headrace.state.schema import is_newer
from headrace_registry.adapters.blobs.store import BlobStore
from headrace_registry.adapters.shared_state.change_log import RedisChangeLog
from headrace_registry.adapters.shared_state.history_note import HistoryNote
from headrace_registry.domain.history.audit_export import AuditExport


def readiness(
    follower: StateFollower,
    log: RedisChangeLog,
    blobs: BlobStore,
    note: HistoryNote,
    audit: AuditExport | None,
) -> tuple[bool, Mapping[str, object]]:
    """Ready while reads and writes can be answered; reads alone go on without the shared state."""
    facts = {
        "state_read": follower.synced,
        **follower.facts(),
        "state_may_evict": log.may_evict,
        "history_noted": not note.problem,
        "revision": follower.catalog.revision,
        "damaged_blobs": len(blobs.damaged),
    }
    if audit is not None:
        facts["audit_written"] = not audit.problem
    usable = follower.connected and follower.whole and follower.synced
    return usable and not is_newer(follower.schema), facts
