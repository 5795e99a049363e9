"""Requests of a thread that must not wait: checked one by one, run or queued together.

One thread at a time takes bursts; requests that were put aside may be taken by another meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from headrace.errors import HeadraceError
from headrace.state.desired import Key
from headrace_inference.domain.ingress.call_limits import CallLimiter
from headrace_inference.domain.ingress.incoming import Fit, IncomingRequest
from headrace_inference.domain.ingress.ingress import ROUTE_ATTEMPTS, Ingress
from headrace_inference.domain.ingress.receptions import known_error
from headrace_inference.domain.routing.table import OnStandby, Target
from headrace_inference.domain.scheduling.queue_refusals import unloading
from headrace_inference.domain.scheduling.requests import (
    Asked,
    ErrorCounter,
    InferenceRequest,
    ResponseSink,
)
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from headrace_inference.domain.versions.loaded_version import LoadedVersion

Admitted = tuple[LoadedVersion, InferenceRequest]
"""A request that may run, and the version that it goes to."""


class Admit(Protocol):
    """Admits a request that came then, and whose caller waits until then."""

    def __call__(
        self, incoming: IncomingRequest, received_ns: int, deadline_ns: int | None = None, /
    ) -> Admitted:
        """The request, and the version that it goes to."""


StandBy = Callable[[InferenceRequest, Key], None]
"""Takes back a request whose version has to be loaded again; it is admitted anew then."""


class RefusedByVersion(Exception):
    """A version refuses a request for what it is, or could not look at it."""

    def __init__(
        self,
        statistics: ErrorCounter,
        error: Exception,
        route: str = "",
        asked: Asked | None = None,
    ) -> None:
        super().__init__(str(error))
        self.statistics = statistics
        self.error = error
        self.route = route
        self.asked = asked


class BurstInference:
    """Admits requests, and runs or queues those that it admitted, by version.

    Outcomes go to `sink`; to `rendering_sink` those of requests that want more than plain outputs. What a
    request's `reply` is, which the sinks get back, is the incoming request itself.
    """

    def __init__(
        self,
        ingress: Ingress,
        sink: ResponseSink,
        rendering_sink: ResponseSink,
        stand_by: StandBy,
    ) -> None:
        self._ingress = ingress
        self._reconciler = ingress.reconciler
        self._tracer = ingress.tracer
        self._sink = sink
        self._rendering_sink = rendering_sink
        self._stand_by = stand_by
        self._callers = ingress.callers
        self.admit: Admit = self._admit_checked if ingress.callers.are_checked else self._admit
        """The request, ready to run, and the version that it goes to.

        Raises OnStandby where that has to be loaded first, NotVerified where it has to be found out first
        who calls, RefusedByVersion where the request does not fit the version or is over a limit, else
        HeadraceError where its caller may not, or its names lead nowhere.
        """

    def _admit_checked(
        self, incoming: IncomingRequest, received_ns: int, deadline_ns: int | None = None
    ) -> Admitted:
        limiter = self._callers.enter(
            incoming.metadata, incoming.header.model_name, received_ns, incoming.certificate
        )
        admitted = self._admit(incoming, received_ns, deadline_ns)
        if limiter is not None:
            self._limit(admitted, incoming, limiter)
        return admitted

    def _limit(self, admitted: Admitted, incoming: IncomingRequest, limiter: CallLimiter) -> None:
        version, request = admitted
        try:
            limiter.hold(request.plan.rows)
        except HeadraceError as error:
            if incoming.header.resolved is not None:
                incoming.header.resolved[1].give_back(request.route, version.record.number)
            raise RefusedByVersion(
                version.statistics, error, request.route, request.asked
            ) from None
        request.limiter = limiter
        request.sink = limiter.sink_around(request.sink)

    def _admit(
        self, incoming: IncomingRequest, received_ns: int, deadline_ns: int | None = None
    ) -> Admitted:
        resolved = incoming.header.resolved
        if resolved is None or resolved[0] is not self._reconciler.table:
            target = self._ingress.resolve(incoming.header)
        else:
            target = resolved[1]
        version, route = target.pick(incoming)
        fit = incoming.known_fit(version)
        if fit is None:
            fit = self._fit(incoming, target, version, route)
        plan, values = fit
        sink = self._sink if plan.output_options is None else self._rendering_sink
        return version, InferenceRequest(
            plan,
            values,
            route,
            received_ns,
            deadline_ns,
            version.statistics,
            sink,
            incoming,
            incoming,
        )

    def _fit(
        self, incoming: IncomingRequest, target: Target, version: LoadedVersion, route: str
    ) -> Fit:
        try:
            return self._ingress.fit(incoming, version)
        except Exception as error:  # noqa: BLE001  # raised again, with the version
            target.give_back(route, version.record.number)
            raise RefusedByVersion(version.statistics, error, route, incoming) from None

    def run_one(self, admitted: Admitted, single_calls: int) -> None:
        """Run one here and now where that is quick, else queue it; so many calls came one at a time."""
        if self._tracer.on:
            self._trace([admitted])
        version, request = admitted
        if not version.try_run_inline([request], single_calls):
            self._enqueue(version, [request])
        if self._reconciler.table.shadowed:
            self._send_copies([admitted])

    def run(self, admitted: Sequence[Admitted]) -> None:
        """Run these here and now where that is quick, else queue them: those of a version together."""
        if self._tracer.on:
            self._trace(admitted)
        groups: dict[LoadedVersion, list[InferenceRequest]] = {}
        for version, request in admitted:
            if version in groups:
                groups[version].append(request)
            else:
                groups[version] = [request]
        for version, group in groups.items():
            if not version.try_run_inline(group):
                self._enqueue(version, group)
        if self._reconciler.table.shadowed:
            self._send_copies(admitted)

    def queue(self, version: LoadedVersion, request: InferenceRequest) -> None:
        """Queue one, for a thread that must not run it."""
        if self._tracer.on:
            self._trace([(version, request)])
        self._enqueue(version, [request])
        if self._reconciler.table.shadowed:
            self._send_copies([(version, request)])

    def _send_copies(self, admitted: Sequence[Admitted]) -> None:
        """Send shadows their copies of requests that are on their way, but for those that had to move."""
        for version, request in admitted:
            incoming: IncomingRequest = request.reply
            resolved = incoming.header.resolved
            shadow = resolved[1].shadow if resolved else None
            if shadow is not None and request.statistics is version.statistics:
                self._ingress.shadow_copies.send(shadow, version, request)

    def _trace(self, admitted: Sequence[Admitted]) -> None:
        for version, request in admitted:
            self._ingress.trace(request.reply, version, request)

    def _enqueue(self, version: LoadedVersion, group: list[InferenceRequest]) -> None:
        """Queue requests of a version; where that was unloaded meanwhile, wherever they lead now."""
        try:
            version.scheduler.enqueue(group)
        except SchedulerStopped:
            for request in group:
                self._route_again(version, request)

    def _route_again(self, version: LoadedVersion, request: InferenceRequest) -> None:
        incoming: IncomingRequest = request.reply
        try:
            for _ in range(ROUTE_ATTEMPTS):
                version = self._move(request, incoming, version.record.number)
                try:
                    version.scheduler.enqueue([request])
                except SchedulerStopped:
                    continue
                return
            request.fail(unloading())
        except OnStandby as standing_by:
            _release(request)
            self._stand_by(request, standing_by.key)
        except HeadraceError as error:  # its names lead nowhere any more
            header = incoming.header
            request.statistics = self._ingress.receptions.refusing(
                header.model_name, header.model_version, error
            )
            request.fail(error)
        except RefusedByVersion as refusal:
            request.statistics = refusal.statistics
            request.fail(known_error(refusal.error))

    def _move(
        self, request: InferenceRequest, incoming: IncomingRequest, former: int
    ) -> LoadedVersion:
        """Have a request that is in no queue go where its names lead now, without another turn."""
        target = self._ingress.resolve(incoming.header)
        version, route = target.pick_again(request.route, former, incoming)
        plan, values = self._fit(incoming, target, version, route)
        request.plan, request.contents, request.route = plan, values, route
        request.statistics = version.statistics
        sink = self._sink if plan.output_options is None else self._rendering_sink
        limiter: CallLimiter | None = getattr(request, "limiter", None)
        request.sink = sink if limiter is None else limiter.sink_around(sink)
        return version


def _release(request: InferenceRequest) -> None:
    """It is admitted anew: until then it counts for nothing."""
    limiter: CallLimiter | None = getattr(request, "limiter", None)
    if limiter is not None:
        limiter.release(1)
