"""The fast front: ModelInfer from received bytes to answered bytes.

The receiving thread parses, routes and queues calls, and runs what is quick; instance threads run the
rest. Calls are answered by id.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from headrace.errors import HeadraceError
from headrace.state.desired import Key
from headrace_inference.domain.extensions.output_rendering import RenderedOutput, check_windows
from headrace_inference.domain.extensions.tracing import RequestFacts
from headrace_inference.domain.ingress.ingress import (
    ROUTE_ATTEMPTS,
    Ingress,
    in_graph_order,
    unloading,
)
from headrace_inference.domain.ingress.limits import FrontLimits
from headrace_inference.domain.ingress.receptions import caller_left, known_error
from headrace_inference.domain.ingress.rendering_sink import RenderingSink
from headrace_inference.domain.reconciliation.load_waits import LoadWait
from headrace_inference.domain.routing.table import OnStandby, Picked, Target
from headrace_inference.domain.scheduling.queue_refusals import not_awaited, shutting_down
from headrace_inference.domain.scheduling.requests import (
    NONE_REFUSED,
    BatchResult,
    EncodedResponses,
    InferenceRequest,
    RequestPlan,
    ResponseSink,
)
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.wire.codec.request_parser import Parsed, RequestHeader, RequestParser
from headrace_inference.wire.codec.responses import encode_answers, encode_shown
from headrace_inference.wire.codec.slow_requests import (
    decoding_takes_long,
    is_slow_to_parse,
    parse_large,
)
from headrace_inference.wire.codec.tensors import contents_of
from headrace_inference.wire.native.call_errors import CallErrors, RefusedByVersion
from headrace_inference.wire.native.outbound_backlog import OutboundBacklog
from headrace_inference.wire.native.slow_decoder import Decoder, DeferredCall

NO_DETAILS: Any = ((), "", None)
"""Metadata, peer and deadline, of a call whose own are not at hand."""

_Admitted = tuple[LoadedVersion, InferenceRequest]


class _Reply(NamedTuple):
    """What it takes to answer a request, or to route it once more."""

    call_id: int
    request_id: bytes
    payload: bytes
    window_bytes: int = 0
    """How much it brought in shared memory."""


class NativeFront:
    """Takes bursts of calls, and is the sink of their requests."""

    takes_parts = False

    def __init__(self, front: Any, ingress: Ingress, limits: FrontLimits) -> None:
        from pygrpc_native import EVENT_CALL

        self._event_call = EVENT_CALL
        self._front = front
        self._ingress = ingress
        self._limits = limits
        self._answer_limit = limits.answers
        self._parser = RequestParser()
        self._errors = CallErrors(front, ingress.receptions)
        self._wishes = RenderingSink(ingress.regions, self._encode_shown, self.deliver, self.fail)
        self._pending: dict[int, InferenceRequest | DeferredCall] = {}
        self.decoder = Decoder(self._decode)
        self.unread = OutboundBacklog(front.metrics, self._pending.__len__, limits.max_bytes)
        self._bytes = 0
        self._bytes_lock = threading.Lock()
        self._stopping = False

    @property
    def requests_in_flight(self) -> int:
        """How many requests wait or run."""
        return len(self._pending)

    def abandon(self) -> None:
        """Nobody will be answered any more: what waits need not run, and what runs may end."""
        for pending in list(self._pending.values()):
            pending.cancelled = True

    def stop_accepting(self) -> None:
        """From now on answer new requests with UNAVAILABLE."""
        self._stopping = True

    def take(self, events: Sequence[Any], now: int, single_calls: int = 0) -> None:
        """Parse, route and queue a burst of calls that came at a monotonic time in nanoseconds.

        What is quick runs here and now, the more so the more calls in a row came one at a time. One thread
        at a time may be inside.
        """
        if len(events) == 1:
            self._take_one(events[0], now, single_calls)
        else:
            self._take_many(events, now)

    def _take_one(self, event: Any, now: int, single_calls: int) -> None:
        """What `_take_many` does, for a caller that waits for each answer: nothing is grouped or summed."""
        if event[0] != self._event_call:
            self._cancel(event[1])
            return
        admitted = self._admit_or_refuse(event, 0, now)
        if admitted is None:
            return
        served, pending = admitted
        self._pending[event[1]] = pending
        with self._bytes_lock:
            self._bytes += len(event[3]) + pending.reply.window_bytes
        if self._ingress.tracer.on:
            self._trace(served, pending, event[5][0])
        if not served.try_run_inline([pending], single_calls):
            self._submit(served, [pending])

    def _take_many(self, events: Sequence[Any], now: int) -> None:
        groups: dict[LoadedVersion, list[InferenceRequest]] = {}
        taken = 0
        tracing = self._ingress.tracer.on
        for event in events:
            if event[0] != self._event_call:
                self._cancel(event[1])
                continue
            admitted = self._admit_or_refuse(event, taken, now)
            if admitted is None:
                continue
            served, pending = admitted
            self._pending[event[1]] = pending
            taken += len(event[3]) + pending.reply.window_bytes
            if tracing:
                self._trace(served, pending, event[5][0])
            if served in groups:
                groups[served].append(pending)
            else:
                groups[served] = [pending]
        with self._bytes_lock:
            self._bytes += taken
        for served, group in groups.items():
            if not served.try_run_inline(group):
                self._submit(served, group)

    def _aside(self, event: Any, now: int) -> DeferredCall:
        """A request that is admitted later, by the decoder; it is in flight from now on."""
        aside = DeferredCall(event, now)
        self._pending[aside.call_id] = aside
        with self._bytes_lock:
            self._bytes += len(aside.payload)
        return aside

    def _await_load(self, aside: DeferredCall, key: Key) -> None:
        """Have the version loaded that a request asks for; the decoder admits it then."""

        def tell(error: HeadraceError | None) -> None:
            if error is None:
                self.decoder.put(aside)
            else:
                self._refuse_aside(aside, error)

        aside.wait = LoadWait(key, aside.received_ns, aside.deadline_ns, tell)
        self._ingress.reconciler.summon_soon(aside.wait)
        if aside.cancelled:  # else whoever cancels it dismisses it
            self._ingress.reconciler.dismiss_soon(aside.wait)

    def _decode(self, aside: DeferredCall) -> None:
        """Admit a request that was put aside, on the decoder's thread."""
        try:
            aside.check_wanted()
            parsed = parse_large(aside.payload)
            served, pending = self._admit_parsed(
                aside.call_id, aside.payload, parsed, aside.received_ns
            )
        except OnStandby as standing_by:
            self._await_load(aside, standing_by.key)
        except Exception as error:  # noqa: BLE001  # a bug is logged by whoever refuses
            self._refuse_aside(aside, error)
        else:
            self._take_decoded(aside, served, pending)

    def _refuse_aside(self, aside: DeferredCall, error: Exception) -> None:
        self._errors.refuse(aside.event, error, aside.received_ns)
        self._done([_Reply(aside.call_id, b"", aside.payload)])

    def _take_decoded(
        self, aside: DeferredCall, served: LoadedVersion, pending: InferenceRequest
    ) -> None:
        pending.deadline_ns = aside.deadline_ns
        with self._bytes_lock:
            self._bytes += pending.reply.window_bytes
        self._pending[aside.call_id] = pending
        if aside.cancelled:  # else it is the pending one that is cancelled from now on
            pending.cancelled = True
        if self._ingress.tracer.on:
            self._trace(served, pending, aside.details[0], parse_large)
        self._submit(served, [pending])

    def _trace(
        self,
        served: LoadedVersion,
        pending: InferenceRequest,
        metadata: Any,
        parse: Callable[[bytes], Parsed] | None = None,
    ) -> None:
        tracer = self._ingress.tracer

        def facts() -> RequestFacts:
            parsed = (parse or self._parser.parse)(pending.reply.payload)
            forwarded = tracer.grpc_headers.forwarded(metadata)
            return RequestFacts(parsed.id.decode(), {**parsed.head.parameters, **forwarded})

        tracer.consider(served, pending, facts)

    def _admit_or_refuse(self, event: Any, taken: int, now: int) -> _Admitted | None:
        _, call_id, _, payload, _, details = event
        try:
            admitted = self._admit(call_id, payload, taken, now)
        except OnStandby as standing_by:
            self._await_load(self._aside(event, now), standing_by.key)
            return None
        except Exception as error:  # noqa: BLE001  # a bug is logged by whoever refuses
            self._errors.refuse(event, error, now)
            return None
        if admitted is None:
            self.decoder.put(self._aside(event, now))
            return None
        if details[2] is not None:
            admitted[1].deadline_ns = now + int(details[2] * 1e9)
        return admitted

    def _admit(self, call_id: int, payload: bytes, taken: int, now: int) -> _Admitted | None:
        """The request, ready to run; None where the decoder has to have it."""
        limits = self._limits
        if (
            self._stopping
            or len(self._pending) >= limits.max_requests
            or self._bytes + taken + len(payload) > self.unread.room
        ):
            self._check_room(taken + len(payload))
        layout = self._parser.match(payload)
        if layout is None:
            return self._admit_anew(call_id, payload, now)
        request_id = layout.id_in(payload)  # before a turn is taken: it may be malformed
        if not layout.ready:
            parsed = Parsed(payload, layout.head, request_id, layout.raw, layout)
            return self._admit_unless_long(call_id, payload, parsed, now)
        target = self._target(layout.head)
        served, route = picked = target.pick()
        ready: tuple[RequestPlan, Sequence[tuple[int, int]]] | None = layout.ready.get(served.id)
        if ready is None:
            parsed = Parsed(payload, layout.head, request_id, layout.raw, layout)
            return self._admit_picked(call_id, payload, parsed, target, picked, now)
        plan, ranges = ready
        contents = [payload[start:end] for start, end in ranges]
        reply = _Reply(call_id, request_id, payload)
        return served, InferenceRequest(
            plan, contents, route, now, None, served.statistics, self, reply
        )

    def _target(self, head: RequestHeader) -> Target:
        """What a request with this head leads to, by the present routing table."""
        table = self._ingress.reconciler.table
        targets = head.targets
        if not targets or targets[0] is not table:
            targets[:] = (table, table.target(head.model_name, head.model_version))
        target: Target = targets[1]
        return target

    def _admit_anew(self, call_id: int, payload: bytes, now: int) -> _Admitted | None:
        if len(payload) > self._limits.max_message_bytes:  # none like it has a layout
            raise self._limits.too_large(len(payload))
        if is_slow_to_parse(payload):
            return None
        return self._admit_unless_long(call_id, payload, self._parser.parse(payload), now)

    def _admit_unless_long(
        self, call_id: int, payload: bytes, parsed: Parsed, now: int
    ) -> _Admitted | None:
        if decoding_takes_long(parsed):  # nothing like it is ever ready
            return None
        return self._admit_parsed(call_id, payload, parsed, now)

    def _admit_parsed(self, call_id: int, payload: bytes, parsed: Parsed, now: int) -> _Admitted:
        """Pick the version of a request for which there is room, and admit it there."""
        window_bytes = parsed.head.window_bytes
        if self._bytes + window_bytes > self.unread.room:
            self._check_room(window_bytes)
        target = self._target(parsed.head)
        return self._admit_picked(call_id, payload, parsed, target, target.pick(), now)

    def _admit_picked(
        self,
        call_id: int,
        payload: bytes,
        parsed: Parsed,
        target: Target,
        picked: Picked,
        now: int,
    ) -> _Admitted:
        """RequestPlan and check a request, and remember for its likes what came out."""
        served, route = picked
        head = parsed.head
        try:
            plan = head.plans.get(served.id)
            if plan is None:
                plan = head.plans[served.id] = served.plan_request(
                    head.inputs, head.outputs, head.options
                )
            check_windows(plan, self._ingress.regions)
            found = contents_of(parsed, self._ingress.regions)
            contents = in_graph_order(served, plan, found)
        except Exception as error:  # noqa: BLE001  # raised again, with the version
            target.give_back(route)
            raise RefusedByVersion(served.statistics, error) from None
        if (
            parsed.layout is not None
            and head.plain
            and all(isinstance(part, bytes) for part in contents)
        ):
            ranges = tuple(parsed.raw[place] for place in plan.order)
            parsed.layout.ready[served.id] = (plan, ranges)
        reply = _Reply(call_id, parsed.id, payload, head.window_bytes)
        sink: ResponseSink = self if plan.wishes is None else self._wishes
        return served, InferenceRequest(
            plan, contents, route, now, None, served.statistics, sink, reply
        )

    def _submit(self, served: LoadedVersion, group: list[InferenceRequest]) -> None:
        try:
            served.scheduler.enqueue(group)
        except SchedulerStopped:
            for pending in group:
                self._submit_again(pending)

    def _submit_again(self, former: InferenceRequest) -> None:
        """The version went while the burst was parsed: the present table knows its successor."""
        reply: _Reply = former.reply
        parsed = parse_large(reply.payload)  # the parser belongs to the receiving thread
        pending = former
        for _ in range(ROUTE_ATTEMPTS):
            try:
                target = self._target(parsed.head)
                served, pending = self._admit_picked(
                    reply.call_id,
                    reply.payload,
                    parsed,
                    target,
                    target.pick_again(pending.route),
                    former.received_ns,
                )
                pending.deadline_ns = former.deadline_ns
                self._pending[reply.call_id] = pending
                pending.cancelled = former.cancelled  # else it is this one that is cancelled
                served.scheduler.enqueue([pending])
            except SchedulerStopped:
                continue
            except OnStandby as standing_by:
                self._await_load_again(former, standing_by.key)
            except HeadraceError as error:  # its names lead nowhere any more
                former.statistics = self._ingress.receptions.refusing(
                    parsed.head.model_name, parsed.head.model_version, error
                )
                former.fail(error)
            except RefusedByVersion as refusal:
                former.statistics = refusal.statistics
                former.fail(known_error(refusal.error))
            return
        former.fail(unloading())

    def _await_load_again(self, former: InferenceRequest, key: Key) -> None:
        """The version was unloaded between picking and queueing: the request waits for it anew."""
        call_id, _, payload, window_bytes = former.reply
        aside = DeferredCall(
            (self._event_call, call_id, 0, payload, None, NO_DETAILS), former.received_ns
        )
        aside.deadline_ns = former.deadline_ns
        with self._bytes_lock:
            self._bytes -= window_bytes  # it is counted when the request is admitted
        self._pending[call_id] = aside
        aside.cancelled = former.cancelled  # else it is this one that is cancelled
        self._await_load(aside, key)

    def _cancel(self, call_id: int) -> None:
        pending = self._pending.get(call_id)
        if pending is None:
            return
        pending.leave(time.monotonic_ns())
        if isinstance(pending, DeferredCall) and pending.wait is not None:
            self._ingress.reconciler.dismiss_soon(pending.wait)

    def encode(self, served: Any, result: BatchResult, indexes: Sequence[int]) -> EncodedResponses:
        """Encode the answers to these requests of a batch."""
        replies: list[_Reply] = [result.requests[index].reply for index in indexes]
        ids = [reply.request_id for reply in replies]
        answers = encode_answers(served, result, indexes, ids, self._answer_limit)
        return (replies, answers), NONE_REFUSED

    def _encode_shown(
        self,
        served: LoadedVersion,
        request: InferenceRequest,
        shown: list[RenderedOutput],
        _: BatchResult,
    ) -> tuple[Sequence[_Reply], Sequence[bytes]]:
        reply: _Reply = request.reply
        limit = self._answer_limit
        answer = encode_shown(served, request.plan, request.route, shown, reply.request_id, limit)
        return [reply], [answer]

    def deliver(
        self, answers: tuple[Sequence[_Reply], Sequence[bytes]]
    ) -> Collection[InferenceRequest]:
        """Hand encoded answers to the package, which knows whose callers are gone: no successes."""
        respond = self._front.respond
        unread: list[Any] = []
        for reply, answer in zip(*answers, strict=True):
            if not respond(reply.call_id, answer):
                unread.append(self._pending[reply.call_id])
        self._done(*answers)
        if unread:
            _count_as_left(unread)
        return unread

    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        """Answer this request with an error."""
        call_id = request.reply.call_id
        received_ns, deadline_ns = request.received_ns, request.deadline_ns
        self._errors.end(call_id, error, request.statistics, received_ns, deadline_ns)
        self._done([request.reply])

    def _done(self, replies: Sequence[_Reply], answers: Sequence[bytes] = ()) -> None:
        gone = 0
        for call_id, _, payload, window_bytes in replies:
            self._pending.pop(call_id, None)
            gone += len(payload) + window_bytes
        with self._bytes_lock:
            self._bytes -= gone
            self.unread.give(answers)

    def _check_room(self, count: int) -> None:
        """Raises Unavailable or ResourceExhausted where there is no room for another request."""
        if self._stopping:
            raise shutting_down()
        with self._bytes_lock:
            self.unread.look()
        held = self._bytes + self.unread.bytes
        if len(self._pending) >= self._limits.max_requests or held + count > self._limits.max_bytes:
            raise self._limits.over_limit(len(self._pending), held)


def _count_as_left(requests: Sequence[InferenceRequest]) -> None:
    now = time.monotonic_ns()
    for request in requests:
        error = not_awaited(request, now)
        error = error or caller_left(request.received_ns, request.deadline_ns, now)
        request.statistics.record_error(error.reason, now - request.received_ns)
