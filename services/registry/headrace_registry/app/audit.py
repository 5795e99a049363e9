"""The copy of the change log in files."""

from __future__ import annotations

from headrace.state.follower import StateFollower
from headrace_registry.adapters.audit_files import AuditFiles
from headrace_registry.adapters.shared_state.change_log import RedisChangeLog
from headrace_registry.adapters.shared_state.stored_log import RedisStoredLog
from headrace_registry.domain.history.audit_export import AuditExport
from headrace_registry.settings import Settings


def open_audit(
    settings: Settings, log: RedisChangeLog, stored: RedisStoredLog, follower: StateFollower
) -> AuditExport | None:
    """What copies the log to files, if there are to be any; the log waits for it."""
    if settings.audit_folder is None:
        return None
    files = AuditFiles(settings.audit_folder, settings.audit_file_bytes)
    audit = AuditExport(stored, files, follower)
    log.kept_for = audit.kept_for
    return audit
