"""Calls of the native front that are admitted later: once they are decoded, or their version is loaded.

Or once it is known who makes them.
"""

from __future__ import annotations

import time
from functools import partial

from headrace.errors import HeadraceError
from headrace.security.credentials import Credentials
from headrace.state.desired import Key
from headrace_inference.domain.ingress.bursts import BurstInference
from headrace_inference.domain.ingress.callers import NotVerified
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.reconciliation.load_waits import LoadWait
from headrace_inference.domain.routing.table import OnStandby
from headrace_inference.domain.scheduling.queue_refusals import CALLER_GONE, deadline_passed
from headrace_inference.domain.scheduling.requests import InferenceRequest, is_late
from headrace_inference.wire.codec.slow_requests import parse_large
from headrace_inference.wire.native.admission import Admission
from headrace_inference.wire.native.call_errors import CallErrors
from headrace_inference.wire.native.calls import Call, OpenCalls, deadline_of
from headrace_inference.wire.native.package import Event
from headrace_inference.wire.native.slow_decoder import SlowDecoder


class DeferredCall:
    """A call that is to be admitted later, and when it came."""

    __slots__ = ("cancelled", "deadline_ns", "event", "received_ns", "wait")

    def __init__(self, event: Event, received_ns: int, deadline_ns: int | None) -> None:
        self.event = event
        self.received_ns = received_ns
        self.deadline_ns = deadline_ns
        self.cancelled = False
        self.wait: LoadWait | None = None
        """Its wait for a load, if it waits for one."""

    def leave(self, now_ns: int) -> None:
        """Its caller waits no longer: of its own accord, or because its time is up."""
        if self.deadline_ns is not None and is_late(self.deadline_ns, now_ns):
            self.deadline_ns = min(self.deadline_ns, now_ns - 1)
        else:
            self.cancelled = True

    def check_wanted(self) -> None:
        """Raises Cancelled or DeadlineExceeded where nobody waits for the answer any more."""
        if self.cancelled:
            raise CALLER_GONE
        now = time.monotonic_ns()
        if self.deadline_ns is not None and now > self.deadline_ns:
            raise deadline_passed(now - self.received_ns)


class DeferredCalls:
    """Admits them, on the decoder's thread. Until then each holds what its message takes."""

    def __init__(
        self,
        ingress: Ingress,
        inference: BurstInference,
        admission: Admission,
        calls: OpenCalls,
        errors: CallErrors,
    ) -> None:
        self._ingress = ingress
        self._inference = inference
        self._admission = admission
        self._calls = calls
        self._errors = errors
        self.decoder = SlowDecoder(self._decode)

    def defer(self, event: Event, received_ns: int) -> None:
        """Have a call decoded and admitted by the decoder."""
        self.decoder.put(self._add(event, received_ns, deadline_of(event, received_ns)))

    def await_load(self, event: Event, received_ns: int, key: Key) -> None:
        """Have the version loaded that a call asks for; the decoder admits it then."""
        call = self._add(event, received_ns, deadline_of(event, received_ns))
        self._await_load(call, key)

    def await_caller(self, event: Event, received_ns: int, credentials: Credentials) -> None:
        """Have a caller's token verified; the decoder admits the call then."""
        call = self._add(event, received_ns, deadline_of(event, received_ns))
        self._await_caller(call, credentials)

    def await_load_again(self, request: InferenceRequest, key: Key) -> None:
        """The same for a request whose version was unloaded between being picked and being asked."""
        former: Call = request.reply
        message_bytes = len(former.event[3])
        self._calls.budget.release(0, former.held_bytes - message_bytes)  # held when it is admitted
        call = self._add(former.event, request.received_ns, request.deadline_ns)
        if request.cancelled:  # else it is the deferred one that is cancelled from now on
            call.cancelled = True
        self._await_load(call, key)

    def dismiss(self, call: DeferredCall) -> None:
        """A call's caller has gone: have nothing loaded for it."""
        if call.wait is not None:
            self._ingress.reconciler.dismiss_soon(call.wait)

    def _add(self, event: Event, received_ns: int, deadline_ns: int | None) -> DeferredCall:
        call = DeferredCall(event, received_ns, deadline_ns)
        self._calls.waiting[event[1]] = call
        return call

    def _await_load(self, call: DeferredCall, key: Key) -> None:
        tell = partial(self._go_on, call)
        call.wait = self._ingress.load_for(key, call.received_ns, call.deadline_ns, tell)
        if call.cancelled:  # else whoever cancels it dismisses it
            self.dismiss(call)

    def _await_caller(self, call: DeferredCall, credentials: Credentials) -> None:
        try:
            self._ingress.callers.verify(credentials, partial(self._go_on, call))
        except HeadraceError as error:
            self._refuse(call, error)

    def _go_on(self, call: DeferredCall, error: HeadraceError | None) -> None:
        if error is None:
            self.decoder.put(call)
        else:
            self._refuse(call, error)

    def _decode(self, call: DeferredCall) -> None:
        try:
            call.check_wanted()
            self._admit(call)
        except OnStandby as standing_by:
            self._await_load(call, standing_by.key)
        except NotVerified as waiting:
            self._await_caller(call, waiting.credentials)
        except Exception as error:  # noqa: BLE001  # a bug is logged by whoever refuses
            self._refuse(call, error)

    def _admit(self, deferred: DeferredCall) -> None:
        event = deferred.event
        parsed = parse_large(event[3])
        version, request = self._admission.admit_parsed(
            event, parsed, deferred.received_ns, deferred.deadline_ns
        )
        self._calls.waiting[event[1]] = request
        if deferred.cancelled:  # else it is the request that is cancelled from now on
            request.cancelled = True
        self._inference.queue(version, request)

    def _refuse(self, call: DeferredCall, error: Exception) -> None:
        self._errors.refuse(call.event, error, call.received_ns)
        self._calls.end_unparsed(call.event)
