"""The registry's Prometheus metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from headrace import errors
from headrace.state.follower import StateFollower
from headrace_registry.adapters.blobs.store import BlobStore
from headrace_registry.domain.history.watches import Watches
from headrace_registry.domain.pushes.uploads import Uploads

_PUSH_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """The registry's metrics: gauges are read from the state when they are asked for."""

    def __init__(self, follower: StateFollower, blobs: BlobStore) -> None:
        self.collectors = CollectorRegistry()
        ProcessCollector(registry=self.collectors)
        self._pushes = Counter(
            "headrace_registry_pushes",
            "Pushes by result: ok, or the reason of the error.",
            ["result"],
            registry=self.collectors,
        )
        self._push_seconds = Histogram(
            "headrace_registry_push_seconds",
            "How long pushes took, from their header to their answer.",
            buckets=_PUSH_SECONDS,
            registry=self.collectors,
        )
        self._gauge("revision", "The revision of the shared state as followed.").set_function(
            lambda: follower.catalog.revision
        )
        self._gauge("models", "The models.").set_function(lambda: len(follower.catalog.models))
        self._gauge("versions", "The versions of all models.").set_function(
            lambda: len(follower.catalog.versions)
        )
        self._gauge(
            "damaged_blobs", "The blobs whose bytes were found changed or gone."
        ).set_function(lambda: len(blobs.damaged))
        self._gauge(
            "state_connected", "1 while the shared state can be reached, else 0."
        ).set_function(lambda: follower.connected)
        self._gauge(
            "state_denied",
            "1 while the shared state's server refuses this process its rights, else 0.",
        ).set_function(lambda: follower.denied)
        self._gauge(
            "state_whole", "0 while records of the shared state are gone, else 1."
        ).set_function(lambda: follower.whole)

    def count_watches(self, watches: Watches) -> None:
        """Show how many watches there are."""
        self._gauge("watches", "The watches that are open.").set_function(lambda: watches.count)

    def count_uploads(self, uploads: Uploads) -> None:
        """Show how many pushes are under way, and what room they take."""
        self._gauge("pushes_under_way", "The pushes under way.").set_function(lambda: uploads.count)
        self._gauge(
            "announced_bytes", "The bytes that the pushes under way announced."
        ).set_function(lambda: uploads.staged)

    @contextmanager
    def pushing(self) -> Iterator[None]:
        """Count what is done inside as one push."""
        started = time.monotonic()
        result = "ABANDONED"  # by its caller, or by a bug
        try:
            yield
            result = "ok"
        except errors.HeadraceError as error:
            result = error.reason
            raise
        finally:
            self._pushes.labels(result).inc()
            self._push_seconds.observe(time.monotonic() - started)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"headrace_registry_{name}", text, registry=self.collectors)
