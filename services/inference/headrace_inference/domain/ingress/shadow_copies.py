"""Runs copies of requests on a route's shadow, as far as there is room to spare; nobody waits for them.

A copy is made when its request was handed over to run, and goes into the shadow's queue: it never runs on
the thread that received the request. Whatever becomes of it is counted for the shadow's version alone.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from headrace.errors import HeadraceError, ResourceExhausted
from headrace_inference.domain.ingress.receptions import known_error
from headrace_inference.domain.routing.targets import ShadowTarget
from headrace_inference.domain.scheduling.answering_version import AnsweringVersion
from headrace_inference.domain.scheduling.requests import (
    NO_OPTIONS,
    NONE_REFUSED,
    SHADOW,
    BatchResult,
    EncodedResponses,
    InferenceRequest,
    Options,
    RequestPlan,
    ResponsePart,
    TensorData,
    TensorHeader,
)
from headrace_inference.domain.scheduling.response_cache import BoundedCache
from headrace_inference.domain.scheduling.scheduler import SchedulerStopped
from headrace_inference.domain.versions.loaded_version import LoadedVersion

logger = logging.getLogger(__name__)

MAX_COPIES = 64
"""In flight of one shadow: whoever calls its version by number waits behind so many at most."""

MAX_COPY_NS = 30_000_000_000
"""A copy that waited and ran for so long ends, though its caller would wait: a stop waits for copies."""


class ShadowCopies:
    """Copies in flight. `has_room` says of so many bytes whether the replica can spare them."""

    takes_parts = True

    def __init__(self, has_room: Callable[[int], bool]) -> None:
        self._has_room = has_room
        self._lock = threading.Lock()
        self._in_flight = Counter[int]()
        self._bytes = 0
        self._plans: BoundedCache[_PlanKey, RequestPlan] = BoundedCache()

    def send(
        self, shadow: ShadowTarget, original: LoadedVersion, request: InferenceRequest
    ) -> None:
        """Copy a request that `original` runs if it is its turn. Never raises: an error is counted."""
        version = shadow.served
        if version is original or not shadow.is_due():
            return
        received_ns = version.clock.monotonic_ns()
        try:
            self._enqueue(version, self._copy(version, original, request, received_ns))
        except SchedulerStopped:  # the next table has no shadow, or its successor
            return
        except Exception as error:
            if not isinstance(error, HeadraceError):
                logger.exception("a copy for shadow %s failed", version.record.key)
            version.statistics.record_error(
                known_error(error).reason, version.clock.monotonic_ns() - received_ns
            )

    def encode(
        self,
        version: AnsweringVersion,  # noqa: ARG002  # all shadows' copies end alike
        result: BatchResult,
        indexes: Sequence[int],
    ) -> EncodedResponses:
        """Encode nothing: the outputs are dropped."""
        if result.part is ResponsePart.PARTIAL:
            return (), NONE_REFUSED
        return [result.requests[index] for index in indexes], NONE_REFUSED

    def deliver(self, answers: Sequence[InferenceRequest]) -> Collection[InferenceRequest]:
        """They are done, and count as answered."""
        for request in answers:
            self._release(request)
        return ()

    def fail(self, request: InferenceRequest, error: HeadraceError) -> None:
        """It is done, and counts as an error of its version."""
        version: LoadedVersion = request.reply[0]
        version.statistics.record_error(
            error.reason, version.clock.monotonic_ns() - request.received_ns, request
        )
        self._release(request)

    def _enqueue(self, version: LoadedVersion, request: InferenceRequest) -> None:
        size = request.reply[1]
        with self._lock:
            if self._in_flight[version.id] >= MAX_COPIES or not self._has_room(self._bytes + size):
                raise _no_room(version)
            self._in_flight[version.id] += 1
            self._bytes += size
        try:
            version.scheduler.enqueue([request])
        except SchedulerStopped:
            self._release(request)
            raise

    def _release(self, request: InferenceRequest) -> None:
        version, size = request.reply
        with self._lock:
            self._bytes -= size
            self._in_flight[version.id] -= 1
            if not self._in_flight[version.id]:
                del self._in_flight[version.id]

    def _copy(
        self,
        version: LoadedVersion,
        original: LoadedVersion,
        request: InferenceRequest,
        received_ns: int,
    ) -> InferenceRequest:
        """The request for another version. Raises InvalidArgument."""
        plan = request.plan
        key = version.id, original.id, plan.shapes, plan.optional
        copied = self._plans.get(key)
        if copied is None:
            copied = _plan(version, original, plan)
            self._plans.keep(key, copied)
        if plan.parameters:
            copied = replace(copied, parameters=plan.parameters)
        contents = [request.contents[place] for place in copied.order]
        size = sum(map(_size, contents))
        return InferenceRequest(
            copied,
            contents,
            SHADOW,
            received_ns,
            _deadline_ns(request, received_ns),
            version.statistics,
            self,
            (version, size),
            request.asked,
        )


_PlanKey = tuple[int, int, tuple[tuple[int, ...], ...], tuple[int, ...]]
"""Of a shadow and the version that answers, the shapes of a request, and the optional inputs it brings."""


def _plan(version: LoadedVersion, original: LoadedVersion, plan: RequestPlan) -> RequestPlan:
    """Plan a copy, with all outputs as plain values. Raises InvalidArgument."""
    specs = original.record.signature.inputs_with(plan.optional)
    headers = [
        TensorHeader(spec.name, spec.datatype, shape)
        for spec, shape in zip(specs, plan.shapes, strict=True)
    ]
    lowest = version.record.config.priorities.levels
    return version.plan_request(headers, (), Options(priority=lowest) if lowest else NO_OPTIONS)


def _deadline_ns(request: InferenceRequest, received_ns: int) -> int:
    latest = received_ns + MAX_COPY_NS
    return latest if request.deadline_ns is None else min(latest, request.deadline_ns)


def _size(data: TensorData) -> int:
    return len(data) if isinstance(data, bytes) else data.nbytes


def _no_room(version: LoadedVersion) -> HeadraceError:
    return ResourceExhausted(
        "SHADOW_DROPPED",
        f"no copy is sent to shadow {version.record.key}: {MAX_COPIES} of them are in flight, or the "
        "replica has no memory to spare; make its share smaller, or its model faster",
        facts={"version": str(version.record.number)},
    )
