"""The one way in: what every wire hands its decoded requests to, and what they all share.

`BurstInference` is for threads that must not wait, `AsyncInference` for callers on the event loop. Both
find the version, check the request against it and queue it by what is here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from headrace.errors import HeadraceError, InvalidArgument
from headrace.state.desired import Key
from headrace.tracing.context import TraceContext
from headrace_inference.domain.extensions.output_rendering import check_windows
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.extensions.trace_records import RequestFacts
from headrace_inference.domain.extensions.trace_settings import Changes
from headrace_inference.domain.extensions.tracing import Tracer
from headrace_inference.domain.ingress.budget import InFlightBudget
from headrace_inference.domain.ingress.callers import Callers
from headrace_inference.domain.ingress.generation_stream import OpenStreams
from headrace_inference.domain.ingress.incoming import Fit, IncomingRequest, RequestHeader
from headrace_inference.domain.ingress.limits import IngressLimits
from headrace_inference.domain.ingress.receptions import Receptions
from headrace_inference.domain.ingress.shadow_copies import ShadowCopies
from headrace_inference.domain.ingress.shadow_generations import ShadowGenerations
from headrace_inference.domain.reconciliation.load_waits import LoadWait
from headrace_inference.domain.reconciliation.reconciler import VersionReconciler
from headrace_inference.domain.routing.table import Target, state_unread
from headrace_inference.domain.scheduling.requests import InferenceRequest, RequestPlan, TensorData
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
        limits: IngressLimits | None = None,
        callers: Callers | None = None,
    ) -> None:
        self.reconciler = reconciler
        self.clock = reconciler.clock
        self.book = book
        self.regions = regions or RegionTable()
        self.tracer = tracer or Tracer()
        self.limits = limits or IngressLimits()
        self.callers = callers or Callers(self.clock)
        self.budget = InFlightBudget(self.limits)
        self.shadow_copies = ShadowCopies(self.budget.can_spare)
        self.shadow_generations = ShadowGenerations()
        self.text_streams = OpenStreams()
        """What is generated and read on the event loop."""
        self.receptions = Receptions(lambda: reconciler.table, book, self.clock)
        self.last_bursts: list[Callable[[], int]] = []
        """Tell when each receiving thread took its last burst, in monotonic nanoseconds."""
        self.rest_errors: Counter[tuple[str, str, str]] = Counter()
        """Errors of all REST routes, by verb, route and reason, which the event loop counts."""

    def bursts_elsewhere(self) -> int:
        """Return a number that is another one once a receiving thread took a burst."""
        return sum([taken() for taken in self.last_bursts])

    def deadline_ns(self, remaining_seconds: float | None) -> int | None:
        """Return when a call's time is up; grpcio says 9.2e18 s where there is no deadline."""
        if remaining_seconds is None or remaining_seconds > 1e9:
            return None
        return self.clock.monotonic_ns() + int(remaining_seconds * 1e9)

    def resolve(self, header: RequestHeader) -> Target:
        """Resolve a request's names by the present routing table.

        Raises OnStandby where that has to be loaded first, else HeadraceError where they lead nowhere.
        """
        table = self.reconciler.table
        resolved = header.resolved
        if resolved is None or resolved[0] is not table:
            target = table.target(header.model_name, header.model_version)
            header.resolved = (table, target)
            return target
        return resolved[1]

    def plan(self, incoming: IncomingRequest, version: LoadedVersion) -> RequestPlan:
        """Plan how a request runs on a version. Raises HeadraceError where it cannot."""
        plan = incoming.plan(version)
        check_windows(plan, self._regions_of(incoming))
        return plan

    def values(
        self, incoming: IncomingRequest, version: LoadedVersion, plan: RequestPlan
    ) -> list[TensorData]:
        """Return a request's values in the order of the version's inputs. Raises HeadraceError."""
        return in_graph_order(version, plan, incoming.values(self._regions_of(incoming)))

    def _regions_of(self, incoming: IncomingRequest) -> RegionTable:
        """The regions of shared memory; where callers are checked, for whoever may register some."""
        if not (self.callers.are_checked and self.regions.allowed):
            return self.regions
        check = partial(self.callers.check_regions, incoming.metadata, incoming.certificate)
        return self.regions.checked_by(check)

    def fit(self, incoming: IncomingRequest, version: LoadedVersion) -> Fit:
        """Check a request against a version, and remember for its likes. Raises HeadraceError."""
        plan = self.plan(incoming, version)
        fit = plan, self.values(incoming, version, plan)
        incoming.remember(version, fit)
        return fit

    def trace(
        self, incoming: IncomingRequest, version: LoadedVersion, run: InferenceRequest
    ) -> None:
        """Trace a request if it is its turn, before it is queued."""
        rule = self.tracer.rule_for_next(version.record.model)
        context = self.tracer.context_of(incoming.metadata)
        if rule is not None or context is not None:
            facts = _traced_facts(self.tracer, incoming, version, run, context)
            self.tracer.trace(rule, run, facts, self.clock)

    def load_for(
        self,
        key: Key,
        received_ns: int,
        deadline_ns: int | None,
        tell: Callable[[HeadraceError | None], None],
    ) -> LoadWait:
        """Have a version loaded for a request, from any thread; the event loop tells when to look again."""
        wait = LoadWait(key, received_ns, deadline_ns, tell)
        self.reconciler.summon_soon(wait)
        return wait

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


def _traced_facts(
    tracer: Tracer,
    incoming: IncomingRequest,
    version: LoadedVersion,
    run: InferenceRequest,
    context: TraceContext | None,
) -> RequestFacts:
    """What a trace says of a request: as of the last with its header, where it has nothing of its own."""
    header, request_id = incoming.header, incoming.id_text
    is_alike = not (request_id or tracer.forwards_headers or context)
    known = header.traced if is_alike else None
    model, number = version.record.model, version.version_text
    if known and (known.model, known.version, known.route) == (model, number, run.route):
        return known
    parameters = {**header.parameters, **tracer.forwarded(incoming.wire, incoming.metadata)}
    facts = RequestFacts(model, number, request_id, parameters, run.route, run.plan.rows)
    facts.context = context
    if is_alike:
        header.traced = facts
    return facts


def in_graph_order(
    version: LoadedVersion, plan: RequestPlan, values: Sequence[TensorData]
) -> list[TensorData]:
    """A request's values in the order of the version's inputs.

    Raises InvalidArgument where raw values have not exactly the bytes of their shape.
    """
    ordered = [values[place] for place in plan.order]
    for place, size in enumerate(plan.sizes):
        part = ordered[place]
        if isinstance(part, (bytes, memoryview)) and len(part) != size:
            record = version.record
            spec = record.signature.inputs_with(plan.optional)[place]
            raise InvalidArgument(
                "RAW_SIZE_MISMATCH",
                f"input byte size mismatch for input '{spec.name}' "
                f"for model '{record.model}'. Expected {size}, got {len(part)}",
            )
    return ordered
