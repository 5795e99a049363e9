"""The fast front: ModelInfer from received bytes to answered bytes.

The receiving thread parses, routes and queues calls, and runs what is quick; instance threads run the
rest. Calls are answered by id.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from headrace.errors import HeadraceError
from headrace_inference.domain.extensions.output_rendering import RenderedOutput
from headrace_inference.domain.ingress.bursts import Admitted, BurstInference
from headrace_inference.domain.ingress.callers import NotVerified
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.receptions import caller_left
from headrace_inference.domain.ingress.rendering_sink import RenderingSink
from headrace_inference.domain.routing.table import OnStandby
from headrace_inference.domain.scheduling.answering_version import AnsweringVersion
from headrace_inference.domain.scheduling.queue_refusals import not_awaited, shutting_down
from headrace_inference.domain.scheduling.requests import (
    NONE_REFUSED,
    BatchResult,
    EncodedResponses,
    InferenceRequest,
)
from headrace_inference.wire.codec.responses import encode_answers, encode_rendered
from headrace_inference.wire.native.admission import Admission
from headrace_inference.wire.native.call_errors import CallErrors
from headrace_inference.wire.native.calls import Call, GatewayCall, OpenCalls
from headrace_inference.wire.native.deferred_calls import DeferredCall, DeferredCalls
from headrace_inference.wire.native.package import Event, Responder
from headrace_inference.wire.native.slow_decoder import SlowDecoder


class NativeFront:
    """Takes bursts of calls, and is the sink of their requests."""

    takes_parts = False

    def __init__(self, front: Responder, ingress: Ingress, *, is_of_gateway: bool = False) -> None:
        from pygrpc_native import EVENT_CALL

        self._event_call = EVENT_CALL
        self._front = front
        self._answer_limit = ingress.limits.answers
        self._budget = ingress.budget
        self._errors = CallErrors(front, ingress.receptions)
        self._calls = OpenCalls(ingress.budget, front.metrics)
        rendering = RenderingSink(ingress.regions, self._encode_rendered, self.deliver, self.fail)
        self._inference = BurstInference(ingress, self, rendering, self._stand_by)
        self._admission = Admission(
            self._inference,
            ingress.budget,
            ingress.limits,
            ingress.callers,
            GatewayCall if is_of_gateway else Call,
        )
        self._deferred = DeferredCalls(
            ingress, self._inference, self._admission, self._calls, self._errors
        )
        self._stopping = False

    @property
    def decoder(self) -> SlowDecoder[DeferredCall]:
        """The decoder of large requests; it has to run while calls are taken."""
        return self._deferred.decoder

    @property
    def requests_in_flight(self) -> int:
        """Count the requests that wait or run."""
        return len(self._calls.waiting)

    def abandon(self) -> None:
        """Nobody will be answered any more: what waits need not run, and what runs may end."""
        self._calls.abandon()

    def stop_accepting(self) -> None:
        """From now on answer new requests with UNAVAILABLE."""
        self._stopping = True

    def take(self, events: Sequence[Event], now: int, single_calls: int = 0) -> None:
        """Parse, route and queue a burst of calls that came at a monotonic time in nanoseconds.

        What is quick runs here and now, the more so the more calls in a row came one at a time. One thread
        at a time may be inside.
        """
        if len(events) == 1:
            self._take_one(events[0], now, single_calls)
        else:
            self._take_many(events, now)

    def _take_one(self, event: Event, now: int, single_calls: int) -> None:
        """As `_take_many`, for a caller that waits for each answer: nothing is grouped or summed."""
        if event[0] != self._event_call:
            self._cancel(event[1])
            return
        if self._stopping or not self._budget.try_hold(1, len(event[3])):  # noqa: SIM102
            if not self._with_room([event], now):
                return
        found = self._admit(event, now)
        if found is not None:
            self._calls.waiting[event[1]] = found[1]
            self._inference.run_one(found, single_calls)

    def _take_many(self, events: Sequence[Event], now: int) -> None:
        calls = [event for event in events if event[0] == self._event_call]
        held = sum([len(event[3]) for event in calls])
        if self._stopping or not self._budget.try_hold(len(calls), held):
            calls = self._with_room(calls, now)
        admitted: list[Admitted] = []
        waiting = self._calls.waiting
        for event in calls:
            found = self._admit(event, now)
            if found is not None:
                waiting[event[1]] = found[1]
                admitted.append(found)
        if len(calls) != len(events):
            for event in events:
                if event[0] != self._event_call:
                    self._cancel(event[1])
        self._inference.run(admitted)

    def _with_room(self, calls: Sequence[Event], now: int) -> list[Event]:
        """Those of a burst for which there is room one by one; the others are refused."""
        taken = []
        for event in calls:
            try:
                if self._stopping:
                    raise shutting_down()
                self._budget.hold(1, len(event[3]))
            except HeadraceError as error:
                self._errors.refuse(event, error, now)
            else:
                taken.append(event)
        return taken

    def _admit(self, event: Event, now: int) -> Admitted | None:
        """The request, ready to run; None where it was refused, or is admitted later."""
        seconds = event[5][2]
        deadline_ns = None if seconds is None else now + int(seconds * 1e9)
        try:
            admitted = self._admission.admit(event, now, deadline_ns)
        except OnStandby as standing_by:
            self._deferred.await_load(event, now, standing_by.key)
            return None
        except NotVerified as waiting:
            self._deferred.await_caller(event, now, waiting.credentials)
            return None
        except Exception as error:  # noqa: BLE001  # a bug is logged by whoever refuses
            self._errors.refuse(event, error, now)
            self._calls.end_unparsed(event)
            return None
        if admitted is None:
            self._deferred.defer(event, now)
        return admitted

    def _stand_by(self, request: InferenceRequest, key: tuple[str, int]) -> None:
        self._deferred.await_load_again(request, key)

    def _cancel(self, call_id: int) -> None:
        waiting = self._calls.waiting.get(call_id)
        if waiting is None:
            return
        waiting.leave(time.monotonic_ns())
        if isinstance(waiting, DeferredCall):
            self._deferred.dismiss(waiting)

    def encode(
        self, version: AnsweringVersion, result: BatchResult, indexes: Sequence[int]
    ) -> EncodedResponses:
        """Encode the answers to these requests of a batch."""
        calls: list[Call] = [result.requests[index].reply for index in indexes]
        ids = [call.id for call in calls]
        answers = encode_answers(version, result, indexes, ids, self._answer_limit)
        return (calls, answers), NONE_REFUSED

    def _encode_rendered(
        self,
        version: AnsweringVersion,
        request: InferenceRequest,
        rendered: list[RenderedOutput],
        _: BatchResult,
    ) -> tuple[Sequence[Call], Sequence[bytes]]:
        call: Call = request.reply
        limit = self._answer_limit
        answer = encode_rendered(version, request.plan, request.route, rendered, call.id, limit)
        return [call], [answer]

    def deliver(
        self, answers: tuple[Sequence[Call], Sequence[bytes]]
    ) -> Collection[InferenceRequest]:
        """Hand encoded answers to the package, which knows whose callers are gone: no successes."""
        respond = self._front.respond
        unread: list[InferenceRequest] = []
        for call, answer in zip(*answers, strict=True):
            if not respond(call.event[1], answer):
                request = self._calls.waiting[call.event[1]]
                assert isinstance(request, InferenceRequest)
                unread.append(request)
        self._calls.end(*answers)
        if unread:
            _count_as_left(unread)
        return unread

    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        """Answer this request with an error."""
        call: Call = request.reply
        received_ns, deadline_ns = request.received_ns, request.deadline_ns
        self._errors.end(call.call_id, error, request.statistics, received_ns, deadline_ns, request)
        self._calls.end([call])


def _count_as_left(requests: Sequence[InferenceRequest]) -> None:
    now = time.monotonic_ns()
    for request in requests:
        error = not_awaited(request, now)
        error = error or caller_left(request.received_ns, request.deadline_ns, now)
        request.statistics.record_error(error.reason, now - request.received_ns, request)
