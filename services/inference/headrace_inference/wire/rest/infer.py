"""The routes that run models: infer, generate, generate_stream.

Nothing of a request waits in a task: it is parsed where it arrives, handed to the ingress with those that
arrive in the same turn of the loop, and its answer is written when it comes. What takes long is done aside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import TypeVar

import msgspec

from headrace.errors import HeadraceError
from headrace.service.http.answers import Response
from headrace.service.http.requests import Body, Request
from headrace_inference.domain.ingress.incoming import RequestHeader
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.loop_bursts import LoopBursts
from headrace_inference.domain.ingress.loop_calls import Arrival
from headrace_inference.domain.ingress.loop_inference import Answer
from headrace_inference.wire.rest.body import checked_encoding, inflate
from headrace_inference.wire.rest.event_call import EventCall
from headrace_inference.wire.rest.exchanges import RestApp
from headrace_inference.wire.rest.generate import MemberParameters, parse_generate
from headrace_inference.wire.rest.incoming import GenerateIncoming, InferIncoming
from headrace_inference.wire.rest.known_forms import KnownForms
from headrace_inference.wire.rest.raw_binary import raw_request
from headrace_inference.wire.rest.requests import (
    HEADER_LENGTH,
    RestRequest,
    header_length,
    parse_request,
)
from headrace_inference.wire.rest.rest_call import RestCall, Way

JSON_ON_LOOP_BYTES = 262_144
"""JSON of more than this is read in a thread: it takes milliseconds."""

_HEADER_LENGTH = HEADER_LENGTH.lower()
Made = TypeVar("Made")


class InferRoutes:
    """Decode, call, encode."""

    def __init__(self, ingress: Ingress, app: RestApp) -> None:
        self.ingress = ingress
        self.app = app
        self._limit = ingress.limits.answers
        self._known = KnownForms()
        self._loop = asyncio.get_running_loop()
        bursts: LoopBursts[Response] = LoopBursts(ingress, self._encoded, yields=True)
        in_parts: LoopBursts[Response] = LoopBursts(
            ingress, self._encoded, takes_parts=True, yields=True
        )
        self._infer_way = Way(bursts, self._infer, self.take)
        self._generate_way = Way(bursts, partial(self._generate, as_event=False), self.take)
        self._events_way = Way(in_parts, partial(self._generate, as_event=True), self.take)

    def infer(self, request: Request) -> RestCall:
        """Answer one request."""
        return RestCall(self.app, self.ingress.receptions, request, self._infer_way)

    def generate(self, request: Request) -> RestCall:
        """Answer one request of the generate form."""
        return RestCall(self.app, self.ingress.receptions, request, self._generate_way)

    def generate_stream(self, request: Request) -> RestCall:
        """Answer one request of the generate form by server-sent events: by one for each response."""
        ingress = self.ingress
        return EventCall(
            self.app, ingress.receptions, request, self._events_way, ingress.text_streams
        )

    def _encoded(self, answer: Answer) -> Response:
        incoming: InferIncoming | GenerateIncoming = answer.request.reply
        return incoming.response(answer, self._limit)

    def take(self, call: RestCall, body: Body) -> None:
        """Take a call whose body is there: here where that is quick, else in a thread."""
        try:
            encoding = checked_encoding(call.http.head.get("content-encoding"))
        except HeadraceError as error:
            call.bursts.refuse(call, error)
            return
        if encoding:
            self._aside(call, partial(inflate, body, encoding, call.max_body_bytes), self._unpacked)
        else:
            self._parse(call, body)

    def _unpacked(self, call: RestCall, body: bytes) -> None:
        """Take a body that was packed; both count."""
        try:
            call.take_part(len(body))
        except HeadraceError as error:
            call.bursts.refuse(call, error)
        else:
            self._parse(call, body)

    def _parse(self, call: RestCall, body: Body) -> None:
        if len(body) > JSON_ON_LOOP_BYTES and self._is_long(call, body):
            self._aside(call, partial(call.parse, call, body), self._put)
            return
        try:
            arrival = call.parse(call, body)
        except Exception as error:  # noqa: BLE001  # a bug is logged by whoever tells it
            call.bursts.refuse(call, error)
        else:
            self._put(call, arrival)

    def _is_long(self, call: RestCall, body: Body) -> bool:
        text = call.http.head.get(_HEADER_LENGTH)
        return not (text.isascii() and text.isdigit() and int(text[:18]) <= JSON_ON_LOOP_BYTES)

    def _put(self, call: RestCall, arrival: Arrival) -> None:
        if not call.ended:
            call.bursts.put(arrival)

    def _aside(
        self, call: RestCall, make: Callable[[], Made], go_on: Callable[[RestCall, Made], None]
    ) -> None:
        """Make something in a thread, then go on with it on the loop."""

        def run() -> None:
            try:
                made = make()
            except Exception as error:  # noqa: BLE001  # a bug is logged by whoever tells it
                self._loop.call_soon_threadsafe(call.bursts.refuse, call, error)
            else:
                self._loop.call_soon_threadsafe(go_on_unless_left, made)

        def go_on_unless_left(made: Made) -> None:
            if not call.ended:
                go_on(call, made)

        self._loop.run_in_executor(None, run)

    def _infer(self, call: RestCall, body: Body) -> InferIncoming:
        """The request in a body. Raises HeadraceError."""
        head = call.http.head
        text = head.values.get(_HEADER_LENGTH)
        length = None if text is None else header_length(text, len(body))
        known = self._known.find(call.model, call.version, body, length)
        if known is not None:
            form, given = known
            certificate = call.http.certificate
            return InferIncoming(
                form.header, head.headers, False, call, form.request, given, certificate
            )
        long = (len(body) if length is None else length) > JSON_ON_LOOP_BYTES
        parsed = self._parsed(call, body, length)
        if parsed.window_bytes:
            call.take_part(parsed.window_bytes)
        is_slow = long or parsed.contents_take_long
        header = self._known.keep(call.model, call.version, body, length, parsed)
        certificate = call.http.certificate
        return InferIncoming(header, head.headers, is_slow, call, parsed, None, certificate)

    def _parsed(self, call: RestCall, body: Body, length: int | None) -> RestRequest:
        if length == 0:
            table = self.ingress.reconciler.table
            return raw_request(table.record(call.model, call.version), body)
        return parse_request(body, length, partial(self._to_generate, call.model, call.version))

    def _generate(self, call: RestCall, body: Body, *, as_event: bool) -> GenerateIncoming:
        members = parse_generate(body)
        header = RequestHeader(call.model, call.version, parameters=MemberParameters(members))
        long = len(body) > JSON_ON_LOOP_BYTES
        http = call.http
        return GenerateIncoming(
            header, http.head.headers, long, call, members, as_event, http.certificate
        )

    def _to_generate(self, name: str, version: str, members: Collection[str]) -> str:
        """Say where values by name are taken, and the body that says them."""
        try:
            signature = self.ingress.reconciler.table.record(name, version).signature
            inputs = [spec.name for spec in signature.inputs]
        except HeadraceError:
            inputs = [*members][:3]
        body = msgspec.json.encode(dict.fromkeys(inputs, msgspec.Raw(b"..."))).decode()
        path = f"/v2/models/{name}{'/versions/' + version if version else ''}/generate"
        return f"; to give values by name, POST {body} to {path}"


def names(request: Request) -> tuple[str, str]:
    """The names of model and version in a path, '' where it has none."""
    return request.names.get("model", ""), request.names.get("version", "")
