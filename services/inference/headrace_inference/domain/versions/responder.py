"""Gives the results of a version's runs to the sinks of their requests, and counts them."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.errors import HeadraceError
from headrace_inference.domain.payloads.taking import TakenPayload, VersionPayloads
from headrace_inference.domain.sampling.version_sampler import VersionSampler
from headrace_inference.domain.scheduling.answering_version import AnsweringVersion
from headrace_inference.domain.scheduling.request_failures import error_of
from headrace_inference.domain.scheduling.requests import (
    BatchResult,
    InferenceRequest,
    PartialResult,
    ResponseSink,
)
from headrace_inference.domain.versions.statistics import VersionCounters


class Responder:
    """Answers for one version."""

    def __init__(
        self,
        version: AnsweringVersion,
        statistics: VersionCounters,
        sampler: VersionSampler | None = None,
        payloads: VersionPayloads | None = None,
    ) -> None:
        self._version = version
        self._statistics = statistics
        self._sampler = sampler
        self._payloads = payloads
        self._now_ns = version.clock.monotonic_ns

    @property
    def model(self) -> str:
        """The model whose version it answers for."""
        return self._version.record.model

    def respond(self, result: BatchResult) -> int:
        """Deliver, then count what was delivered; the time when that was encoded.

        Whoever has a response and asks finds it counted, by the lock. Only delivering tells whether a
        caller is still there. It comes last, too, because it wakes the threads of the front, which may
        want this core.
        """
        batch = result.requests
        encoded = []
        refused: dict[int, HeadraceError] = {}
        for sink, indexes in _by_sink(batch):
            answers, some = sink.encode(self._version, result, indexes)
            encoded.append((sink, indexes, answers))
            if some:
                refused.update(some)
        if refused:
            batch = [request for place, request in enumerate(batch) if place not in refused]
        logged = {} if self._payloads is None else self._payloads.take(result, refused)
        times = (*result.times_ns, self._now_ns())
        statistics = self._statistics
        with statistics.lock:
            if (
                self._sampler is not None
            ):  # before callers may change what they lent, as shared memory
                self._sampler.look_at(result, result.first_rows[-1])
            for sink, indexes, answers in encoded:
                try:
                    others = sink.deliver(answers)
                except Exception as error:  # noqa: BLE001  # perhaps some were sent: not to be run again
                    failed = [result.requests[index] for index in indexes]
                    others = self._fail(failed, error, logged)
                if others:
                    gone = set(others)
                    batch = [request for request in batch if request not in gone]
            statistics.record_run(batch, result.first_rows[-1], times)
        if logged:
            self._log(logged)
        for place, refusal in refused.items():
            result.requests[place].fail(refusal)
        return times[3]

    def respond_partly(self, result: PartialResult) -> bool:
        """Deliver one of several responses to a request, which counts when it ends.

        False: its caller takes no more. Raises what the sink says against this response.
        """
        (request,) = result.requests
        responses, refused = request.sink.encode(self._version, result, (0,))
        if refused:
            raise refused[0]
        return not request.sink.deliver(responses)

    def _log(self, logged: dict[InferenceRequest, TakenPayload]) -> None:
        assert self._payloads is not None
        self._payloads.add(logged.values())

    def _fail(
        self,
        requests: Sequence[InferenceRequest],
        error: Exception,
        logged: dict[InferenceRequest, TakenPayload],
    ) -> Sequence[InferenceRequest]:
        failure = error_of(self._version.record.key, error)
        for request in requests:
            logged.pop(request, None)  # it is logged as an error
            request.fail(failure)
        return requests


def _by_sink(batch: Sequence[InferenceRequest]) -> list[tuple[ResponseSink, Sequence[int]]]:
    first = batch[0].sink
    for request in batch:
        if request.sink is not first:
            break
    else:
        return [(first, range(len(batch)))]
    sinks: dict[int, tuple[ResponseSink, list[int]]] = {}
    for index, request in enumerate(batch):
        sinks.setdefault(id(request.sink), (request.sink, []))[1].append(index)
    return list(sinks.values())
