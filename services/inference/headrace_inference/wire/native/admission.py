"""Reads what the native package received, and has the ingress admit it."""

from __future__ import annotations

from headrace_inference.domain.ingress.budget import InFlightBudget
from headrace_inference.domain.ingress.bursts import Admitted, BurstInference
from headrace_inference.domain.ingress.callers import Callers
from headrace_inference.domain.ingress.limits import IngressLimits
from headrace_inference.wire.codec.request_parser import ParsedMessage, RequestParser, names_in
from headrace_inference.wire.codec.slow_requests import decoding_takes_long, is_slow_to_parse
from headrace_inference.wire.native.calls import Call
from headrace_inference.wire.native.package import Event


class Admission:
    """Admits calls for whose messages there is room. The parser belongs to the thread that receives."""

    def __init__(
        self,
        inference: BurstInference,
        budget: InFlightBudget,
        limits: IngressLimits,
        callers: Callers,
        call: type[Call] = Call,
    ) -> None:
        self._call = call
        self._inference = inference
        self._callers = callers
        self._budget = budget
        self._limits = limits
        self.parser = RequestParser()

    def admit(self, event: Event, received_ns: int, deadline_ns: int | None) -> Admitted | None:
        """The request, ready to run; None where the decoder has to have it.

        Raises what `BurstInference.admit` does, and InvalidArgument where the message is none.
        """
        payload = event[3]
        template = self.parser.match(payload)
        if template is None:
            return self._admit_anew(event, received_ns, deadline_ns)
        request_id = template.id_in(payload)  # before a turn is taken: it may be malformed
        if not template.ready:
            parsed = ParsedMessage(payload, template.header, request_id, template.raw, template)
            return self._admit_unless_slow(event, parsed, received_ns, deadline_ns)
        call = self._call(
            payload, template.header, request_id, template.raw, template, event, len(payload)
        )
        return self._inference.admit(call, received_ns, deadline_ns)

    def _admit_anew(
        self, event: Event, received_ns: int, deadline_ns: int | None
    ) -> Admitted | None:
        payload = event[3]
        if self._callers.are_checked:
            self._check_beforehand(event, received_ns)
        if len(payload) > self._limits.max_message_bytes:  # none like it has a template
            raise self._limits.too_large(len(payload))
        if is_slow_to_parse(payload):
            return None
        parsed = self.parser.parse(payload)
        return self._admit_unless_slow(event, parsed, received_ns, deadline_ns)

    def _check_beforehand(self, event: Event, received_ns: int) -> None:
        """Refuse whoever may not call the model, so that its message is not parsed, and nothing kept of it.

        Of several names in a message the last one counts: it is checked again when it is parsed.
        """
        metadata = event[5][0]
        name, _ = names_in(event[3])
        if name:
            self._callers.enter(metadata, name, received_ns, self._call.certificate)
        else:
            self._callers.caller(metadata, received_ns, self._call.certificate)

    def _admit_unless_slow(
        self, event: Event, parsed: ParsedMessage, received_ns: int, deadline_ns: int | None
    ) -> Admitted | None:
        if decoding_takes_long(parsed):  # nothing like it is ever ready
            return None
        return self.admit_parsed(event, parsed, received_ns, deadline_ns)

    def admit_parsed(
        self, event: Event, parsed: ParsedMessage, received_ns: int, deadline_ns: int | None
    ) -> Admitted:
        """The request, ready to run, on whichever thread parsed it; it holds what it reads from windows."""
        window_bytes = parsed.header.window_bytes
        held_bytes = len(event[3]) + window_bytes
        call = self._call(
            parsed.payload, parsed.header, parsed.id, parsed.raw, parsed.template, event, held_bytes
        )
        if not window_bytes:
            return self._inference.admit(call, received_ns, deadline_ns)
        self._budget.hold(0, window_bytes)
        try:
            return self._inference.admit(call, received_ns, deadline_ns)
        except BaseException:
            self._budget.release(0, window_bytes)
            raise
