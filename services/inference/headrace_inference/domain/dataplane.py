"""What every front calls: find the version, check the request, queue it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from headrace.errors import HeadraceError, Internal, InvalidArgument, Unavailable
from headrace_inference.domain.keeper import VersionKeeper
from headrace_inference.domain.pool import CALLER_GONE, deadline_passed
from headrace_inference.domain.requests import Contents, Plan, is_late
from headrace_inference.domain.routing import state_unread
from headrace_inference.domain.served import ServedVersion
from headrace_inference.domain.shared_memory import RegionTable
from headrace_inference.domain.statistics import StatisticsBook
from headrace_inference.domain.trace_settings import Changes
from headrace_inference.domain.tracing import Tracer

ROUTE_ATTEMPTS = 3
"""A version may be unloaded between being picked and being asked; the next table knows its successor."""


@dataclass(slots=True)
class Reception:
    """A request of the event loop, from its reception to its answer.

    Once it is `queued`, its version counts how it ends; once it is `answered`, that is done.
    """

    received_ns: int
    deadline_ns: int | None = None
    queued: bool = False
    answered: bool = False


class DataPlane:
    """The way of a request through this replica, whichever wire it came by."""

    def __init__(
        self,
        keeper: VersionKeeper,
        book: StatisticsBook,
        regions: RegionTable | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self.keeper = keeper
        self.book = book
        self.regions = regions or RegionTable()
        self.tracer = tracer or Tracer()
        self.receiving_count = 0
        """Requests that the event loop has received and not answered."""

    @contextmanager
    def receiving(
        self, model_name: Callable[[], str], deadline_ns: int | None = None
    ) -> Iterator[Reception]:
        """Around a request of the event loop: what ends it before it is queued is counted, once."""
        reception = Reception(time.monotonic_ns(), deadline_ns)
        self.receiving_count += 1
        try:
            yield reception
        except asyncio.CancelledError:
            if not reception.queued:
                self.record_refusal(model_name(), _left(reception), reception.received_ns)
            raise
        except Exception as error:
            if not reception.queued or reception.answered:
                self.record_refusal(model_name(), known_error(error), reception.received_ns)
            raise
        finally:
            self.receiving_count -= 1

    def trace_settings(self, model: str, changes: Changes) -> dict[str, list[str]]:
        """The settings of traces, of a model or ('') of all, after these changes. Raises HeadraceError."""
        catalog = self.keeper.table.catalog
        if model and model not in catalog.models:
            if not catalog.known:
                raise state_unread(catalog)
            raise InvalidArgument("MODEL_UNKNOWN", f"Request for unknown model : {model}")
        if changes:
            self.tracer.update(model, changes)
        return self.tracer.settings(model)

    def record_refusal(self, model_name: str, error: HeadraceError, received_ns: int) -> None:
        """Count a request that reached no version, under its model where there is one."""
        model = model_name.partition("@")[0]
        known = model if model in self.keeper.table.catalog.models else ""
        duration_ns = time.monotonic_ns() - received_ns
        self.book.of(known, 0).record_error(error.reason, duration_ns)

    def record_unread(self, reason: str) -> None:
        """Count a request that was refused before anybody could tell what it asked for."""
        self.book.of("", 0).record_error(reason, 0)


def _left(reception: Reception) -> HeadraceError:
    """Why a request ends whose caller left."""
    now, deadline_ns = time.monotonic_ns(), reception.deadline_ns
    if deadline_ns is not None and is_late(deadline_ns, now):
        return deadline_passed(now - reception.received_ns)
    return CALLER_GONE


def known_error(error: Exception) -> HeadraceError:
    """The error itself; what callers are told of a bug."""
    if isinstance(error, HeadraceError):
        return error
    return Internal("INTERNAL", "the service failed on its own account; its log has the details")


def in_graph_order(
    served: ServedVersion, plan: Plan, contents: Sequence[Contents]
) -> list[Contents]:
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
