"""The errors of versions that failed for a reason of the replica's own, and when they are tried again."""

from __future__ import annotations

from headrace.errors import HeadraceError, Unavailable
from headrace.state.records import VersionRecord

FIRST_RETRY_SECONDS = 0.5
MAX_RETRY_SECONDS = 30.0


def retry_delay(attempts: int) -> float:
    """Return how long to wait after so many failures in a row, in seconds."""
    return float(min(FIRST_RETRY_SECONDS * 2 ** min(attempts - 1, 16), MAX_RETRY_SECONDS))


def unexpected(record: VersionRecord, error: Exception) -> HeadraceError:
    """The error of a load that ended with one that nobody expected."""
    return Unavailable(
        "LOAD_ERROR",
        f"loading {record.key} met an error that nobody expected ({type(error).__name__}: {error}); it is "
        "tried again, and the replica's log has the traceback: please report it",
    )


def broken(record: VersionRecord, wrong: str) -> HeadraceError:
    """The error of a version that ran and cannot run any more."""
    return Unavailable(
        "VERSION_BROKEN",
        f"{record.key} cannot run any more and is opened anew: run after run failed, and so does "
        f"what ran when it was opened: {wrong}",
    )
