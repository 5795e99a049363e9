"""What every front calls: find the version, check the request, queue it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from headrace.errors import HeadraceError, InvalidArgument, Unavailable
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.extensions.trace_settings import Changes
from headrace_inference.domain.extensions.tracing import Tracer
from headrace_inference.domain.ingress.receptions import Reception, Receptions
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.routing.table import OnStandby, Target, state_unread
from headrace_inference.domain.scheduling.requests import RequestPlan, TensorData
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import StatisticsRegistry

ROUTE_ATTEMPTS = 3
"""A version may be unloaded between being picked and being asked; the next table knows its successor."""


class Ingress:
    """The way of a request through this replica, whichever wire it came by."""

    def __init__(
        self,
        reconciler: VersionReconciler,
        book: StatisticsRegistry,
        regions: RegionTable | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.reconciler = reconciler
        self.book = book
        self.clock = reconciler.clock
        self.regions = regions or RegionTable()
        self.tracer = tracer or Tracer()
        self.receptions = Receptions(lambda: reconciler.table, book, self.clock)
        self.rest_errors: Counter[tuple[str, str, str]] = Counter()
        """Errors of all REST routes, by verb, route and reason, which the event loop counts."""

    async def target(self, model_name: str, version: str, reception: Reception) -> Target:
        """What a request's names lead to, once that is loaded where it stood by. Raises HeadraceError."""
        while True:
            try:
                return self.reconciler.table.target(model_name, version)
            except OnStandby as standing_by:
                key = standing_by.key
            await self.reconciler.standby.wait_until_loaded(
                key, reception.received_ns, reception.deadline_ns
            )

    def deadline_ns(self, remaining_seconds: float | None) -> int | None:
        """Return when a call's time is up; grpcio says 9.2e18 s where there is no deadline."""
        if remaining_seconds is None or remaining_seconds > 1e9:
            return None
        return self.clock.monotonic_ns() + int(remaining_seconds * 1e9)

    def trace_settings(self, model: str, changes: Changes) -> dict[str, list[str]]:
        """The settings of traces, of a model or ('') of all, after these changes. Raises HeadraceError."""
        catalog = self.reconciler.table.catalog
        if model and model not in catalog.models:
            if not catalog.known:
                raise state_unread(catalog)
            raise InvalidArgument("MODEL_UNKNOWN", f"Request for unknown model : {model}")
        if changes:
            self.tracer.update(model, changes)
        return self.tracer.settings(model)


def in_graph_order(
    served: LoadedVersion, plan: RequestPlan, contents: Sequence[TensorData]
) -> list[TensorData]:
    """A request's contents in the order of the version's inputs.

    Raises InvalidArgument where raw contents have not exactly the bytes of their shape.
    """
    ordered = [contents[place] for place in plan.order]
    for place, size in enumerate(plan.sizes):
        part = ordered[place]
        if isinstance(part, (bytes, memoryview)) and len(part) != size:
            record = served.record
            spec = record.signature.inputs_with(plan.optional)[place]
            raise InvalidArgument(
                "RAW_SIZE_MISMATCH",
                f"input byte size mismatch for input '{spec.name}' "
                f"for model '{record.model}'. Expected {size}, got {len(part)}",
            )
    return ordered


def unloading() -> HeadraceError:
    """What a request gets whose version was unloaded under it again and again."""
    return Unavailable(
        "VERSION_UNLOADING", "the version is being unloaded; retry", retry_after_seconds=0.1
    )
