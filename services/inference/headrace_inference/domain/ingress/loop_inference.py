"""Hands requests whose callers wait on the event loop to their versions."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from headrace.datatypes import wire_size
from headrace.errors import HeadraceError
from headrace_inference.domain.extensions.output_rendering import RenderedOutput
from headrace_inference.domain.ingress.call_limits import CallPlace
from headrace_inference.domain.ingress.incoming import Fit, IncomingRequest
from headrace_inference.domain.ingress.ingress import ROUTE_ATTEMPTS, Ingress
from headrace_inference.domain.ingress.limits import NO_LIMIT, AnswerLimit
from headrace_inference.domain.ingress.receptions import Reception
from headrace_inference.domain.ingress.rendering_sink import RenderingSink
from headrace_inference.domain.routing.table import OnStandby, Picked, Target
from headrace_inference.domain.scheduling.answering_version import AnsweringVersion
from headrace_inference.domain.scheduling.queue_refusals import unloading
from headrace_inference.domain.scheduling.requests import (
    Array,
    BatchResult,
    EncodedResponses,
    InferenceRequest,
    ResponsePart,
)
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from headrace_inference.domain.versions.loaded_version import LoadedVersion
from headrace_inference.domain.versions.statistics import RunTimes

Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a version: `outputs` in the order asked for; `rendered` where wanted otherwise."""

    version: AnsweringVersion
    request: InferenceRequest
    times: RunTimes
    outputs: Sequence[Array] = ()
    rendered: Sequence[RenderedOutput] | None = None
    part: ResponsePart = ResponsePart.WHOLE


class LoopInference(ABC, Generic[Reply]):
    """Takes requests whose callers wait on the event loop it was made on, and is their sink.

    Each has a reply of its own, which the loop settles.
    """

    takes_parts = False

    def __init__(self, ingress: Ingress, limit: AnswerLimit = NO_LIMIT) -> None:
        self._ingress = ingress
        self._limit = limit
        self._now_ns = ingress.clock.monotonic_ns
        self._loop = asyncio.get_running_loop()
        self._rendering_sink = RenderingSink(
            ingress.regions,
            self._encode_rendered,
            self._deliver_one,
            self.fail,
            takes_parts=self.takes_parts,
        )

    async def _enqueue(
        self, incoming: IncomingRequest, reception: Reception, place: CallPlace | None = None
    ) -> tuple[InferenceRequest, Reply]:
        """Queue a request, which takes this place among those of its caller. Raises HeadraceError."""
        picked: Picked | None = None
        for _ in range(ROUTE_ATTEMPTS):
            target = await self._target(incoming, reception)
            if picked is None:
                picked = target.pick(incoming)
            else:
                picked = target.pick_again(picked[1], picked[0].record.number, incoming)
            version, route = picked
            reception.statistics, reception.route = version.statistics, route
            reception.asked = incoming
            try:
                fit = incoming.known_fit(version) or await self._fit(incoming, version)
                if place is not None:
                    place.take(fit[0].rows)
            except (HeadraceError, asyncio.CancelledError):
                target.give_back(route, version.record.number)
                raise
            reply = self._new_reply()
            request = self._request(fit, picked, reception, reply, incoming)
            if self._ingress.tracer.on:
                self._ingress.trace(incoming, version, request)
            try:
                version.scheduler.enqueue([request])
            except SchedulerStopped:
                continue
            if target.shadow is not None:
                self._ingress.shadow_copies.send(target.shadow, version, request)
            return request, reply
        raise unloading()

    async def _target(self, incoming: IncomingRequest, reception: Reception) -> Target:
        """Resolve a request, once what it leads to is loaded where it stood by. Raises HeadraceError."""
        while True:
            try:
                return self._ingress.resolve(incoming.header)
            except OnStandby as standing_by:
                key = standing_by.key
            await self._ingress.reconciler.standby.wait_until_loaded(
                key, reception.received_ns, reception.deadline_ns
            )

    async def _fit(self, incoming: IncomingRequest, version: LoadedVersion) -> Fit:
        if not incoming.is_slow:
            return self._ingress.fit(incoming, version)
        plan = self._ingress.plan(incoming, version)
        return plan, await asyncio.to_thread(self._ingress.values, incoming, version, plan)

    def _request(
        self,
        fit: Fit,
        picked: Picked,
        reception: Reception,
        reply: Reply,
        incoming: IncomingRequest,
    ) -> InferenceRequest:
        plan, values = fit
        version, route = picked
        return InferenceRequest(
            plan,
            values,
            route,
            reception.received_ns,
            reception.deadline_ns,
            version.statistics,
            self if plan.output_options is None else self._rendering_sink,
            reply,
            incoming,
        )

    def encode(
        self, version: AnsweringVersion, result: BatchResult, indexes: Sequence[int]
    ) -> EncodedResponses:
        """Make what those who wait get; their wires encode it on the loop."""
        answers: list[Answer] = []
        times = (*result.times_ns, self._now_ns())
        refused: dict[int, HeadraceError] = {}
        for index in indexes:
            outputs = result.outputs_of(index)
            try:
                self._limit.check(sum(map(wire_size, outputs)))
                answers.append(
                    Answer(version, result.requests[index], times, outputs, part=result.part)
                )
            except HeadraceError as error:
                refused[index] = error
        return answers, refused

    def _encode_rendered(
        self,
        version: AnsweringVersion,
        request: InferenceRequest,
        rendered: list[RenderedOutput],
        result: BatchResult,
    ) -> Answer:
        self._limit.check(sum([wire_size(one.array) for one in rendered if one.window is None]))
        times = (*result.times_ns, self._now_ns())
        return Answer(version, request, times, rendered=rendered, part=result.part)

    def _deliver_one(self, answer: Answer) -> Collection[InferenceRequest]:
        return self.deliver([answer])

    @abstractmethod
    def _new_reply(self) -> Reply:
        """Make what a request's caller waits on."""

    @abstractmethod
    def deliver(self, answers: Sequence[Answer]) -> Collection[InferenceRequest]:
        """Wake those who wait; their receptions count them."""

    @abstractmethod
    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        """Wake the one who waits, with the error; its reception counts it."""
