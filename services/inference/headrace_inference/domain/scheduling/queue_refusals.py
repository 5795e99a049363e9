"""Makes the errors of requests that wait in vain: refused, late, or abandoned."""

from __future__ import annotations

from headrace.errors import (
    Cancelled,
    DeadlineExceeded,
    HeadraceError,
    ResourceExhausted,
    Unavailable,
)
from headrace_inference.domain.scheduling.admission import LongWait
from headrace_inference.domain.scheduling.watchdog import Awaited

RETRY_AFTER_SECONDS = 0.1
"""The retry delay where nobody knows how fast the queue is emptied."""

LEAST_RETRY_SECONDS = 0.01
MOST_RETRY_SECONDS = 30.0


def retry_seconds(wait_ns: float) -> float:
    """Return when to try again what met a queue of so long: half of it is gone by then."""
    if not wait_ns:
        return RETRY_AFTER_SECONDS
    return round(min(max(wait_ns / 2e9, LEAST_RETRY_SECONDS), MOST_RETRY_SECONDS), 3)


def wait_too_long(name: str, long_wait: LongWait) -> HeadraceError:
    """Return what a request gets that would wait for longer than its version or its deadline allows."""
    wait, limit = f"{long_wait.wait_ns / 1e9:.3g}", f"{long_wait.limit_ns / 1e9:.3g}"
    if long_wait.is_deadline:
        return DeadlineExceeded(
            "DEADLINE_OUT_OF_REACH",
            f"the request's deadline would pass before its turn: it would wait {wait} s for {name}, and "
            f"{limit} s are left; retry later or with more time, or add replicas",
            facts={"expected_wait_seconds": wait, "left_seconds": limit},
            retry_after_seconds=retry_seconds(long_wait.wait_ns),
        )
    return ResourceExhausted(
        "QUEUE_WAIT_TOO_LONG",
        f"the request would wait {wait} s for {name}, allowed are {limit} s; retry later, add replicas, "
        "or push the version with a larger queue.max_wait",
        facts={"expected_wait_seconds": wait, "limit_seconds": limit, "setting": "queue.max_wait"},
        retry_after_seconds=retry_seconds(long_wait.wait_ns),
    )


def not_in_time(request: Awaited, now_ns: int, run_ns: float) -> HeadraceError:
    """Return what a request gets that would be late even if it were run at once."""
    left = f"{max(0, (request.deadline_ns or 0) - now_ns) / 1e9:.3g}"
    waited = f"{(now_ns - request.received_ns) / 1e9:.3g}"
    return DeadlineExceeded(
        "DEADLINE_OUT_OF_REACH",
        f"the request's deadline would pass while it runs: {left} s are left after {waited} s in the "
        f"queue, and a run takes {run_ns / 1e9:.3g} s; it was not run; allow more time, or add replicas",
        facts={"left_seconds": left},
        retry_after_seconds=retry_seconds(run_ns),
    )


def queue_full(name: str, most: int, wait_ns: float) -> HeadraceError:
    """Return what a request gets for which there is no place in the queue."""
    return ResourceExhausted(
        "QUEUE_FULL",
        f"Exceeds maximum queue size: {most} requests wait for {name}; "
        "retry later, add replicas, or push the version with a larger queue.max_requests",
        facts={"limit": str(most), "setting": "queue.max_requests"},
        retry_after_seconds=retry_seconds(wait_ns),
    )


def over_limit(name: str, most: int, wait_ns: float) -> HeadraceError:
    """Return what a request gets of which as many as may wait or run already."""
    return ResourceExhausted(
        "MAX_IN_FLIGHT_REACHED",
        f"{most} requests wait or run for {name}, as many as may; retry later, add replicas, or "
        "push the version with a larger max_in_flight_requests",
        facts={"limit": str(most), "setting": "max_in_flight_requests"},
        retry_after_seconds=retry_seconds(wait_ns),
    )


def no_thread(name: str) -> HeadraceError:
    """Return what a request gets where the system starts no thread that could run it."""
    return ResourceExhausted(
        "NO_THREAD",
        f"{name} has no thread to run requests, and the system starts no more; raise the replica's limit "
        "of threads (ulimit -u, or the pids.max of its cgroup), or serve fewer models on it",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def waited_too_long(waited_ns: int, limit_ns: int, wait_ns: float) -> HeadraceError:
    """Return what a request gets that waited for longer than its version allows."""
    return DeadlineExceeded(
        "QUEUE_TIMEOUT",
        f"Request timeout expired: {waited_ns / 1e6:.1f} ms in the queue, "
        f"allowed are {limit_ns / 1e6:.1f} ms (queue.timeout)",
        facts={"setting": "queue.timeout"},
        retry_after_seconds=retry_seconds(wait_ns),
    )


def shutting_down() -> HeadraceError:
    """Return what a request gets that comes when the replica is about to end."""
    return Unavailable(
        "REPLICA_STOPPING",
        "GRPC server is shutting down and has stopped accepting new requests.",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def unloading() -> HeadraceError:
    """Refuse a request whose version was unloaded under it again and again."""
    return Unavailable(
        "VERSION_UNLOADING", "the version is being unloaded; retry", retry_after_seconds=0.1
    )


CALLER_GONE = Cancelled("CANCELLED", "the caller went away before the request was run")
"""The error of a request that was cancelled."""


def not_awaited(request: Awaited, now_ns: int) -> HeadraceError | None:
    """Return why nobody waits for a request any more; None: somebody does."""
    if request.cancelled:
        return CALLER_GONE
    if request.deadline_ns is not None and now_ns > request.deadline_ns:
        return deadline_passed(now_ns - request.received_ns)
    return None


def deadline_passed(waited_ns: int) -> HeadraceError:
    """Return what a request gets whose deadline passed before it was run."""
    return DeadlineExceeded(
        "DEADLINE_EXCEEDED",
        f"the request's deadline passed after {waited_ns / 1e6:.1f} ms in the queue; it was not run",
    )
