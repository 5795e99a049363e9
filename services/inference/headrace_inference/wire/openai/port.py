"""Opens calls of OpenAI's form: the way in that all routes of this API share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from headrace.errors import HeadraceError
from headrace.service.http.answers import Response
from headrace.service.http.events import EventStream, sending_events
from headrace.service.http.requests import Body, Exchange, Request
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.language_calls import CallFacts, LanguageCall, LanguageCalls
from headrace_inference.domain.routing.request_texts import Parameter
from headrace_inference.wire.openai.bodies import Members, members_of, wrong
from headrace_inference.wire.openai.exchanges import CountedExchange
from headrace_inference.wire.openai.model_names import AskedModel, ServedNames
from headrace_inference.wire.rest.exchanges import RestApp

WIRE = "openai"
ON_LOOP_BYTES = 65_536
"""JSON of more than this is read in a thread: it takes milliseconds."""

QUICK_BYTES = 1024
"""Longer prompts are checked, and made tokens of, in a thread."""

_PROCESSING = "OpenAI-Processing-Ms"


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """A request with its body, and when it was all there: monotonic nanoseconds."""

    request: Request
    body: Body
    began_ns: int
    now_ns: Callable[[], int]

    def timing(self) -> Mapping[str, str]:
        """The header that says how long it has taken so far."""
        return {_PROCESSING: str((self.now_ns() - self.began_ns) // 1_000_000)}

    def events(self) -> AbstractContextManager[EventStream]:
        """Answer with a stream of events; its head is sent at once."""
        return sending_events(self.request, self.timing())


Handle = Callable[[Received], Awaitable[Response]]
Given = ParamSpec("Given")
Made = TypeVar("Made")


async def aside(
    size: int, work: Callable[Given, Made], *given: Given.args, **named: Given.kwargs
) -> Made:
    """Return what work makes of a body of so many bytes: in a thread where that takes milliseconds."""
    if size > QUICK_BYTES:
        return await asyncio.to_thread(work, *given, **named)
    return work(*given, **named)


class OpenAiPort:
    """Reads bodies, and opens the calls that they ask for. To be made on the event loop that serves it."""

    def __init__(self, app: RestApp, ingress: Ingress, names: ServedNames) -> None:
        self.app = app
        self.names = names
        self._receptions = ingress.receptions
        self._now_ns = ingress.clock.monotonic_ns
        self._calls = LanguageCalls(ingress)

    def add(self, path: str, handle: Handle) -> None:
        """Have a handler answer what is posted to a path, with the body, unpacked; it is timed."""

        async def timed(request: Request, body: Body) -> Response:
            received = Received(request, body, self._now_ns(), self._now_ns)
            response = await handle(received)
            response.headers.update(received.timing())
            return response

        def open_one(request: Request) -> Exchange:
            return CountedExchange(request, timed, self.app, self._receptions)

        self.app.counted.add(path)
        self.app.router.add("POST", path, open_one)

    @asynccontextmanager
    async def call(self, received: Received) -> AsyncIterator[tuple[LanguageCall, Members]]:
        """The call that a body asks for, with the body's members; what is wrong with them counts on it.

        Raises HeadraceError.
        """
        request = received.request
        members, asked = await self._read(received.body)
        facts = CallFacts(
            model_name=asked.name,
            model_version=asked.version,
            wire=WIRE,
            metadata=request.head.headers,
            parameters=_parameters(members),
            certificate=request.certificate,
        )
        async with self._calls.open(facts) as call:
            yield call, members

    async def _read(self, body: Body) -> tuple[Members, AskedModel]:
        try:
            if len(body) > ON_LOOP_BYTES:
                members = await asyncio.to_thread(members_of, body)
            else:
                members = members_of(body)
            return members, self.names.asked(_model_in(members))
        except HeadraceError as error:
            self._receptions.record_unread(error.reason)
            raise


def _model_in(members: Members) -> str:
    model = members.get("model")
    if not isinstance(model, str) or not model:
        raise wrong("model", "'model' has to name a model, as GET /v1/models lists them")
    return model


def _parameters(members: Members) -> Mapping[str, Parameter]:
    """Return what a route may look at: the members that are one value, and those of `metadata`."""
    metadata = members.get("metadata")
    inner = metadata if isinstance(metadata, dict) else {}
    return {
        name: value
        for name, value in (*inner.items(), *members.items())
        if isinstance(value, str | int | float)
    }
