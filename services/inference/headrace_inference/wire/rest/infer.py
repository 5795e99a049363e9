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
from headrace.service.http.app import error_response
from headrace.service.http.requests import Body, Request
from headrace_inference.domain.ingress.incoming import RequestHeader
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.loop_bursts import LoopBursts
from headrace_inference.domain.ingress.loop_calls import Arrival, LoopCall
from headrace_inference.domain.ingress.loop_inference import Answer
from headrace_inference.domain.scheduling.requests import ResponsePart
from headrace_inference.wire.rest.body import HeldBytes, checked_encoding, inflate
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

JSON_ON_LOOP_BYTES = 262_144
"""JSON of more than this is read in a thread: it takes milliseconds."""

_HEADER_LENGTH = HEADER_LENGTH.lower()
Made = TypeVar("Made")


class RestCall(LoopCall[Response]):
    """A request of a model, from its head to its answer. It holds what came of its body."""

    __slots__ = ("_held", "http", "max_body_bytes", "model", "parse", "routes", "version")

    def __init__(
        self,
        routes: InferRoutes,
        http: Request,
        parse: Callable[[RestCall, Body], Arrival],
    ) -> None:
        self.model = model = http.names["model"]
        self.version = version = http.names.get("version", "")
        super().__init__(routes.ingress.receptions, lambda: (model, version))
        self.routes = routes
        self.http = http
        self.parse = parse
        self.max_body_bytes = routes.app.max_body_bytes
        self._held = HeldBytes(routes.app.budget)

    @property
    def size_bytes(self) -> int:
        """Return how large its body is."""
        return self._held.count

    def take_part(self, size: int) -> None:
        """So many more bytes are held until it is answered. Raises ResourceExhausted."""
        self._held.add(size)

    def take_body(self, body: Body) -> None:
        """All of its body is there."""
        self.routes.take(self, body)

    def fail(self, error: HeadraceError) -> None:
        """Its body is not what it should be."""
        self.routes.bursts.refuse(self, error)

    def leave(self) -> None:
        """Its client has gone."""
        self._held.release()
        self.routes.bursts.leave(self)

    def take_answer(self, encoded: Response, part: ResponsePart) -> None:
        """Send its answer."""
        self._held.release()
        self.http.respond(encoded)

    def take_error(self, error: HeadraceError) -> None:
        """Send the error."""
        self._held.release()
        error.forget_history()
        self.http.respond(error_response(error))


class InferRoutes:
    """Decode, call, encode."""

    def __init__(self, ingress: Ingress, app: RestApp) -> None:
        self.ingress = ingress
        self.app = app
        self._limit = ingress.limits.answers
        self._known = KnownForms()
        self._loop = asyncio.get_running_loop()
        self.bursts: LoopBursts[Response] = LoopBursts(ingress, self._encoded, yields=True)

    def infer(self, request: Request) -> RestCall:
        """Answer one request."""
        return RestCall(self, request, self._infer)

    def generate(self, request: Request) -> RestCall:
        """Answer one request of the generate form."""
        return RestCall(self, request, partial(self._generate, as_event=False))

    def generate_stream(self, request: Request) -> RestCall:
        """Answer one request of the generate form by server-sent events: by one."""
        return RestCall(self, request, partial(self._generate, as_event=True))

    def _encoded(self, answer: Answer) -> Response:
        incoming: InferIncoming | GenerateIncoming = answer.request.reply
        return incoming.response(answer, self._limit)

    def take(self, call: RestCall, body: Body) -> None:
        """Take a call whose body is there: here where that is quick, else in a thread."""
        try:
            encoding = checked_encoding(call.http.head.get("content-encoding"))
        except HeadraceError as error:
            self.bursts.refuse(call, error)
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
            self.bursts.refuse(call, error)
        else:
            self._parse(call, body)

    def _parse(self, call: RestCall, body: Body) -> None:
        if len(body) > JSON_ON_LOOP_BYTES and self._is_long(call, body):
            self._aside(call, partial(call.parse, call, body), self._put)
            return
        try:
            arrival = call.parse(call, body)
        except Exception as error:  # noqa: BLE001  # a bug is logged by whoever tells it
            self.bursts.refuse(call, error)
        else:
            self._put(call, arrival)

    def _is_long(self, call: RestCall, body: Body) -> bool:
        text = call.http.head.get(_HEADER_LENGTH)
        return not (text.isascii() and text.isdigit() and int(text[:18]) <= JSON_ON_LOOP_BYTES)

    def _put(self, call: RestCall, arrival: Arrival) -> None:
        if not call.ended:
            self.bursts.put(arrival)

    def _aside(
        self, call: RestCall, make: Callable[[], Made], go_on: Callable[[RestCall, Made], None]
    ) -> None:
        """Make something in a thread, then go on with it on the loop."""

        def run() -> None:
            try:
                made = make()
            except Exception as error:  # noqa: BLE001  # a bug is logged by whoever tells it
                self._loop.call_soon_threadsafe(self.bursts.refuse, call, error)
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
