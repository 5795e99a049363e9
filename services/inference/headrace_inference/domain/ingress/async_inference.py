"""Requests of the event loop: handed to instance threads, awaited, and encoded back on the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.datatypes import wire_size
from headrace.errors import HeadraceError
from headrace_inference.domain.extensions.output_rendering import RenderedOutput, check_windows
from headrace_inference.domain.extensions.tracing import RequestFacts
from headrace_inference.domain.ingress.ingress import (
    ROUTE_ATTEMPTS,
    Ingress,
    in_graph_order,
    unloading,
)
from headrace_inference.domain.ingress.limits import NO_LIMIT, AnswerLimit
from headrace_inference.domain.ingress.receptions import Reception
from headrace_inference.domain.ingress.rendering_sink import RenderingSink
from headrace_inference.domain.routing.table import Picked
from headrace_inference.domain.scheduling.requests import (
    Array,
    BatchResult,
    EncodedResponses,
    InferenceRequest,
    RequestPlan,
    TensorData,
)
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import RunTimes


@dataclass(frozen=True, slots=True)
class InferCall:
    """A request as any wire brings it: its names, and what it asks of the version that they lead to.

    `plan` raises what is wrong with it. `contents` is called after it, in a thread where that takes long.
    """

    model_name: str
    model_version: str
    plan: Callable[[LoadedVersion], RequestPlan]
    contents: Callable[[], Sequence[TensorData]]
    reception: Reception
    contents_take_long: bool = False
    facts: Callable[[], RequestFacts] = RequestFacts
    """What a trace says of the request; called only where it is traced."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a version answered: `outputs` in the order asked for, and `shown` where wishes were made."""

    served: LoadedVersion
    pending: InferenceRequest
    times: RunTimes
    outputs: Sequence[Array] = ()
    shown: Sequence[RenderedOutput] | None = None


class AsyncInference:
    """A sink for requests whose callers wait on the event loop it was made on."""

    takes_parts = False

    def __init__(self, ingress: Ingress, limit: AnswerLimit = NO_LIMIT) -> None:
        self._ingress = ingress
        self._limit = limit
        self._now_ns = ingress.clock.monotonic_ns
        self._loop = asyncio.get_running_loop()
        self._wishes = RenderingSink(
            ingress.regions, self._shown, self._deliver_rendered, self.fail
        )

    async def infer(self, call: InferCall) -> Answer:
        """The answer to a call. Raises HeadraceError; a cancelled wait drops the request if it can."""
        pending, future = await self._enqueue(call)
        try:
            answer = await future
        except asyncio.CancelledError:
            pending.leave(self._now_ns())
            raise
        call.reception.run = answer.pending, answer.times
        return answer

    async def _enqueue(self, call: InferCall) -> tuple[InferenceRequest, asyncio.Future[Answer]]:
        route: str | None = None
        for _ in range(ROUTE_ATTEMPTS):
            target = await self._ingress.target(call.model_name, call.model_version, call.reception)
            picked = target.pick() if route is None else target.pick_again(route)
            served, route = picked
            call.reception.statistics = served.statistics
            try:
                plan = call.plan(served)
                contents = in_graph_order(served, plan, await self._contents(call, plan))
            except (HeadraceError, asyncio.CancelledError):
                target.give_back(route)
                raise
            future: asyncio.Future[Answer] = self._loop.create_future()
            pending = self._pending(call, picked, plan, contents, future)
            if self._ingress.tracer.on:
                self._ingress.tracer.consider(served, pending, call.facts)
            try:
                served.scheduler.enqueue([pending])
            except SchedulerStopped:
                continue
            return pending, future
        raise unloading()

    async def _contents(self, call: InferCall, plan: RequestPlan) -> Sequence[TensorData]:
        check_windows(plan, self._ingress.regions)
        if call.contents_take_long:
            return await asyncio.to_thread(call.contents)
        return call.contents()

    def _pending(
        self,
        call: InferCall,
        picked: Picked,
        plan: RequestPlan,
        contents: Sequence[TensorData],
        future: asyncio.Future[Answer],
    ) -> InferenceRequest:
        served, route = picked
        return InferenceRequest(
            plan,
            contents,
            route,
            call.reception.received_ns,
            call.reception.deadline_ns,
            served.statistics,
            self if plan.wishes is None else self._wishes,
            future,
        )

    def encode(self, served: Any, result: BatchResult, indexes: Sequence[int]) -> EncodedResponses:
        """What those who wait get; it is encoded on the loop."""
        answers: list[Answer] = []
        times = (*result.times_ns, self._now_ns())
        refused: dict[int, HeadraceError] = {}
        for index in indexes:
            outputs = result.outputs_of(index)
            try:
                self._limit.check(sum(map(wire_size, outputs)))
                answers.append(Answer(served, result.requests[index], times, outputs))
            except HeadraceError as error:
                refused[index] = error
        return answers, refused

    def deliver(self, answers: Sequence[Answer]) -> Collection[InferenceRequest]:
        """Wake those who wait, all of a batch in one trip to the loop; their receptions count them."""
        self._loop.call_soon_threadsafe(_settle_all, answers)
        return [answer.pending for answer in answers]

    def _shown(
        self,
        served: LoadedVersion,
        request: InferenceRequest,
        shown: list[RenderedOutput],
        result: BatchResult,
    ) -> Answer:
        times = (*result.times_ns, self._now_ns())
        self._limit.check(sum([wire_size(one.array) for one in shown if one.window is None]))
        return Answer(served, request, times, shown=shown)

    def _deliver_rendered(self, answer: Answer) -> Collection[InferenceRequest]:
        return self.deliver([answer])

    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        """Wake the one who waits, with the error; its reception counts it."""
        self._loop.call_soon_threadsafe(_settle, request.reply, None, error)


def _settle_all(answers: Sequence[Answer]) -> None:
    for answer in answers:
        _settle(answer.pending.reply, answer, None)


def _settle(
    future: asyncio.Future[Answer], answer: Answer | None, error: HeadraceError | None
) -> None:
    if future.done():  # the caller has gone
        return
    if error is not None:
        future.set_exception(error)
    elif answer is not None:
        future.set_result(answer)
