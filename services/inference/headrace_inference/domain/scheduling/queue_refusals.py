"""Makes the errors of requests that wait in vain: refused, late, or abandoned."""

from __future__ import annotations

from headrace.errors import (
    Cancelled,
    DeadlineExceeded,
    HeadraceError,
    ResourceExhausted,
    Unavailable,
)
from headrace_inference.domain.scheduling.requests import InferenceRequest

RETRY_AFTER_SECONDS = 0.1


def queue_full(name: str, most: int) -> HeadraceError:
    """Return what a request gets for which there is no place in the queue."""
    return ResourceExhausted(
        "QUEUE_FULL",
        f"Exceeds maximum queue size: {most} requests wait for {name}; "
        "retry later, add replicas, or push the version with a larger queue.max_requests",
        facts={"limit": str(most), "setting": "queue.max_requests"},
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def over_limit(name: str, most: int) -> HeadraceError:
    """Return what a request gets of which as many as may wait or run already."""
    return ResourceExhausted(
        "MAX_IN_FLIGHT_REACHED",
        f"{most} requests wait or run for {name}, as many as may; retry later, add replicas, or "
        "push the version with a larger max_in_flight_requests",
        facts={"limit": str(most), "setting": "max_in_flight_requests"},
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def no_thread(name: str) -> HeadraceError:
    """Return what a request gets where the system starts no thread that could run it."""
    return ResourceExhausted(
        "NO_THREAD",
        f"{name} has no thread to run requests, and the system starts no more; raise the replica's limit "
        "of threads (ulimit -u, or the pids.max of its cgroup), or serve fewer models on it",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def waited_too_long(waited_ns: int, limit_ns: int) -> HeadraceError:
    """Return what a request gets that waited for longer than its version allows."""
    return DeadlineExceeded(
        "QUEUE_TIMEOUT",
        f"Request timeout expired: {waited_ns / 1e6:.1f} ms in the queue, "
        f"allowed are {limit_ns / 1e6:.1f} ms (queue.timeout)",
        facts={"setting": "queue.timeout"},
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def shutting_down() -> HeadraceError:
    """Return what a request gets that comes when the replica is about to end."""
    return Unavailable(
        "REPLICA_STOPPING",
        "GRPC server is shutting down and has stopped accepting new requests.",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


CALLER_GONE = Cancelled("CANCELLED", "the caller went away before the request was run")
"""The error of a request that was cancelled."""


def not_awaited(request: InferenceRequest, now_ns: int) -> HeadraceError | None:
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
