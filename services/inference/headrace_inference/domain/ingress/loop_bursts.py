"""Requests that arrive on an event loop: gathered for one turn of it, then run or queued together.

No task and no future is made for a request: its outcome comes to its call, on the loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, TypeVar, cast

from headrace.errors import DeadlineExceeded, HeadraceError
from headrace.security.credentials import Credentials
from headrace.state.desired import Key
from headrace_inference.domain.extensions.output_rendering import RenderedOutput
from headrace_inference.domain.ingress.bursts import Admitted, BurstInference, RefusedByVersion
from headrace_inference.domain.ingress.callers import NotVerified
from headrace_inference.domain.ingress.fair_turns import REST_SECONDS, FairTurns
from headrace_inference.domain.ingress.held_up import HeldUp
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.loop_calls import Arrival, LoopCall
from headrace_inference.domain.ingress.loop_inference import Answer
from headrace_inference.domain.ingress.receptions import known_error
from headrace_inference.domain.ingress.rendering_sink import RenderingSink
from headrace_inference.domain.routing.table import OnStandby
from headrace_inference.domain.scheduling.answering_version import AnsweringVersion
from headrace_inference.domain.scheduling.inline_policy import INLINE_POLICY
from headrace_inference.domain.scheduling.requests import (
    BatchResult,
    EncodedResponses,
    ErrorCounter,
    InferenceRequest,
    ResponsePart,
)
from headrace_inference.domain.versions.statistics import RunTimes, VersionCounters

logger = logging.getLogger(__name__)

Encoded = TypeVar("Encoded")
Outcome = tuple[InferenceRequest, Any, RunTimes, ResponsePart]
"""A request, its response as its wire encoded it, the times of its run, and the response's place."""

LARGE_BYTES = 262_144
"""A request that holds more is not run on the loop: its run takes longer than those that were measured."""


class LoopBursts(Generic[Encoded]):
    """Takes requests of the event loop that it was made on, and is the sink of their outcomes.

    `encode` makes of an answer what its call is told, on whichever thread ran it; it raises HeadraceError
    where there is none. Everything else is to be called on the loop. What `yields` rests where a thread
    that receives calls would have no turn.
    """

    def __init__(
        self,
        ingress: Ingress,
        encode: Callable[[Answer], Encoded],
        *,
        takes_parts: bool = False,
        yields: bool = False,
    ) -> None:
        self.takes_parts = takes_parts
        self._ingress = ingress
        self._budget = ingress.budget
        self._encode = encode
        self._now_ns, self._used_ns = ingress.clock.monotonic_ns, ingress.clock.thread_ns
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        rendering = RenderingSink(
            ingress.regions, self._encode_rendered, self.deliver, self.fail, takes_parts=takes_parts
        )
        self._inference = BurstInference(ingress, self, rendering, self._stand_by)
        self._held_up = HeldUp(ingress.clock)
        self._fair_turns = FairTurns() if yields else None
        self._arrived: list[Arrival] = []
        self._taken_ns = 0
        self._single_calls = 0

    def put(self, arrival: Arrival) -> None:
        """Take a request together with those that arrive in this turn of the loop."""
        if not self._arrived:
            self._loop.call_soon(self._take)
        self._arrived.append(arrival)

    def leave(self, call: LoopCall[Encoded]) -> None:
        """A call's caller waits no longer; it hears nothing more."""
        if call.ended:
            return
        if call.request is not None:
            call.request.leave(self._now_ns())
        if call.wait is not None:
            self._ingress.reconciler.dismiss_soon(call.wait)
        call.left()
        self._end(call)

    def _take(self) -> None:
        now = self._now_ns()
        turns = self._fair_turns
        if turns is not None and turns.must_rest(now, self._ingress.bursts_elsewhere()):
            self._loop.call_later(REST_SECONDS, self._take_now)
        else:
            self._take_now()

    def _take_now(self) -> None:
        arrived, self._arrived = self._arrived, []
        now = self._now_ns()
        self._single_calls = INLINE_POLICY.count_single_calls(
            self._single_calls, len(arrived), now - self._taken_ns
        )
        admitted: list[Admitted] = []
        for arrival in arrived:
            if arrival.call.ended or not self._has_room(arrival.call):
                continue
            if arrival.is_slow:
                self._loop.run_in_executor(None, self._take_aside, arrival)
            elif (found := self._admit(arrival)) is not None:
                admitted.append(found)
        if admitted:
            self._run(self._quick(admitted))
        self._taken_ns = self._now_ns()
        if self._fair_turns is not None:
            self._fair_turns.took(now, self._taken_ns)

    def _has_room(self, call: LoopCall[Encoded]) -> bool:
        """Hold what a call takes; False where it was refused instead."""
        if call.holds:
            return True
        try:
            self._budget.hold(1, call.held_bytes)
        except HeadraceError as error:
            self.refuse(call, error)
            return False
        call.holds = True
        return True

    def _admit(self, arrival: Arrival) -> Admitted | None:
        """The request, ready to run; None where it was refused, or waits for a load."""
        call: LoopCall[Encoded] = arrival.call
        try:
            admitted = self._inference.admit(arrival, call.received_ns, call.deadline_ns)
        except OnStandby as standing_by:
            self._await_load(arrival, standing_by.key)
            return None
        except NotVerified as waiting:
            self._await_caller(arrival, waiting.credentials)
            return None
        except RefusedByVersion as refusal:
            call.route, call.asked = refusal.route, refusal.asked
            self._tell_error(call, refusal.error, refusal.statistics)
            return None
        except Exception as error:  # noqa: BLE001  # a bug is logged by whoever tells it
            self._tell_error(call, error)
            return None
        version, request = admitted
        call.request, call.statistics = request, version.statistics
        call.route, call.asked = request.route, request.asked
        return admitted

    def _take_aside(self, arrival: Arrival) -> None:
        """Admit a request whose values take long to make, on a thread of their own, and queue it."""
        admitted = self._admit(arrival)
        if admitted is not None:
            if arrival.call.ended:  # else it is the request that is cancelled from now on
                admitted[1].cancelled = True
            self._inference.queue(*admitted)

    def _quick(self, admitted: list[Admitted]) -> list[Admitted]:
        """Those that may run here; the others are queued."""
        largest = max([request.reply.call.size_bytes for _, request in admitted])
        if not self._held_up.any and largest <= LARGE_BYTES:
            return admitted
        quick: list[Admitted] = []
        for version, request in admitted:
            if request.reply.call.size_bytes > LARGE_BYTES or self._held_up.has(version.id):
                self._inference.queue(version, request)
            else:
                quick.append((version, request))
        return quick

    def _run(self, admitted: Sequence[Admitted]) -> None:
        started, used = self._now_ns(), self._used_ns()
        if len(admitted) == 1:
            self._inference.run_one(admitted[0], self._single_calls)
        elif admitted:
            self._inference.run(admitted)
        took = self._now_ns() - started
        if INLINE_POLICY.is_stalled(started, started + took):
            ids = [version.id for version, _ in admitted]
            self._held_up.add(ids, took, self._used_ns() - used)

    def _stand_by(self, request: InferenceRequest, key: Key) -> None:
        """Its version was unloaded between being picked and being asked; from any thread."""
        arrival: Arrival = request.reply
        arrival.call.request = None
        self._await_load(arrival, key)

    def _await_load(self, arrival: Arrival, key: Key) -> None:
        call: LoopCall[Encoded] = arrival.call

        def tell(error: HeadraceError | None) -> None:
            self._loop.call_soon_threadsafe(self._go_on, arrival, error)

        call.wait = self._ingress.load_for(key, call.received_ns, call.deadline_ns, tell)
        if call.ended:  # else whoever leaves dismisses it
            self._ingress.reconciler.dismiss_soon(call.wait)

    def _await_caller(self, arrival: Arrival, credentials: Credentials) -> None:
        """Go on with a request once it is known who makes it."""

        def tell(error: HeadraceError | None) -> None:
            self._loop.call_soon_threadsafe(self._go_on, arrival, error)

        try:
            self._ingress.callers.verify(credentials, tell)
        except HeadraceError as error:
            tell(error)

    def _go_on(self, arrival: Arrival, error: HeadraceError | None) -> None:
        arrival.call.wait = None
        if error is None:
            self.put(arrival)
        else:
            self.refuse(arrival.call, error)

    def encode(
        self, version: AnsweringVersion, result: BatchResult, indexes: Sequence[int]
    ) -> EncodedResponses:
        """Encode the answers to these requests of a batch."""
        outcomes: list[Outcome] = []
        refused: dict[int, HeadraceError] = {}
        times = (*result.times_ns, self._now_ns())
        part = result.part
        for index in indexes:
            request = result.requests[index]
            try:
                answer = Answer(version, request, times, result.outputs_of(index), part=part)
                outcomes.append((request, self._encode(answer), times, part))
            except HeadraceError as error:
                refused[index] = error
        return outcomes, refused

    def _encode_rendered(
        self,
        version: AnsweringVersion,
        request: InferenceRequest,
        rendered: list[RenderedOutput],
        result: BatchResult,
    ) -> Sequence[Outcome]:
        times = (*result.times_ns, self._now_ns())
        answer = Answer(version, request, times, rendered=rendered, part=result.part)
        return [(request, self._encode(answer), times, result.part)]

    def deliver(self, outcomes: Sequence[Outcome]) -> Collection[InferenceRequest]:
        """Tell the calls, all of a batch in one trip to the loop; they count themselves."""
        if threading.get_ident() == self._thread:
            self._tell_all(outcomes)
        else:
            self._loop.call_soon_threadsafe(self._tell_all, outcomes)
        return [
            request
            for request, _, _, part in outcomes
            if part is not ResponsePart.PARTIAL or request.reply.call.ended
        ]

    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        """Tell a request's call the error; it counts itself."""
        self._tell_error(request.reply.call, error, request.statistics)

    def _tell_all(self, outcomes: Sequence[Outcome]) -> None:
        for request, encoded, times, part in outcomes:
            call: LoopCall[Encoded] = request.reply.call
            try:
                self._tell(call, request, encoded, times, part)
            except Exception:
                # One caller's trouble is not that of the others of its batch.
                logger.exception("a bug kept an answer from its caller")

    def _tell(
        self,
        call: LoopCall[Encoded],
        request: InferenceRequest,
        encoded: Encoded,
        times: RunTimes,
        part: ResponsePart,
    ) -> None:
        if call.ended:
            call.request = None
            return
        if part is ResponsePart.PARTIAL:
            call.take_answer(encoded, part)
            return
        call.statistics = cast("VersionCounters", request.statistics)
        call.run = request, times
        try:
            call.answered()
        except DeadlineExceeded as error:
            self.refuse(call, error)
            return
        self._end(call)
        call.take_answer(encoded, part)

    def _tell_error(
        self, call: LoopCall[Encoded], error: Exception, statistics: ErrorCounter | None = None
    ) -> None:
        if threading.get_ident() == self._thread:
            self.refuse(call, error, statistics)
        else:
            self._loop.call_soon_threadsafe(self.refuse, call, error, statistics)

    def refuse(
        self, call: LoopCall[Encoded], error: Exception, statistics: ErrorCounter | None = None
    ) -> None:
        """End a call with an error, which counts on the version that it reached, if any."""
        if not isinstance(error, HeadraceError):
            logger.error("a bug ended a request", exc_info=error)
        call.request = None
        if call.ended:
            return
        if statistics is not None:
            call.statistics = cast("VersionCounters", statistics)
        known = known_error(error)
        call.failed(known)
        self._end(call)
        call.take_error(known)

    def _end(self, call: LoopCall[Encoded]) -> None:
        """A call is over; nothing of it points back at its request, which would have to be collected."""
        call.request = call.wait = call.run = call.asked = None
        if call.holds:
            call.holds = False
            self._budget.release(1, call.held_bytes)
