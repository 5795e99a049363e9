"""POST /api/v1/models/{model}/infer and /chat: a request that a replica answers, for the caller."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol
from urllib.parse import quote

import msgspec

from headrace import errors
from headrace.service.http.answers import JSON_TYPE, Response
from headrace.service.http.requests import Body, Request
from headrace.state.records import ReplicaRecord
from headrace_monitor.domain.catalog.choice import entry_of, replica_for
from headrace_monitor.domain.threads import Result
from headrace_monitor.wire.console.api import bodies
from headrace_monitor.wire.console.api.api import Api
from headrace_monitor.wire.console.api.models import FollowedCatalog

MAX_REQUEST_BYTES = 16 * 2**20
MAX_ANSWER_BYTES = 32 * 2**20
INFER_SECONDS = 60.0
CHAT_SECONDS = 600.0
MAX_AT_A_TIME = 16
"""Trials that run at a time, each with a request and an answer in memory; others wait for their turn."""

SMALL_BYTES = 65_536
"""What is larger is read and written in the thread of the questions."""

ROUTE = "headrace.route"
_KEPT_BACK = re.compile(
    r"(x-forwarded|x-headrace|content)-.*|authorization|cookie|host|connection|transfer-encoding"
)
"""Headers that no trial sets, whatever a route looks at."""

EVENTS = "text/event-stream"


class TrialBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request to try: `version` is a number, an alias, or left out."""

    request: msgspec.Raw
    version: int | str | None = None
    headers: dict[str, str] = {}
    """Of those that the model's route looks at."""

    @property
    def wanted(self) -> str:
        """The version as text; '' for that of the route."""
        return "" if self.version is None else str(self.version)


class Answering(Protocol):
    """A replica's answer."""

    status: int
    content_type: str

    async def body(self, most: int) -> bytes:
        """The whole of it."""

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """It piece by piece."""


class ReplicaPosts(Protocol):
    """Calls replicas."""

    def post(
        self, address: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> AbstractAsyncContextManager[Answering]:
        """Send a request, and give the answer once its head is there."""


class TrialApi:
    """Has replicas answer requests of people who look at a model."""

    def __init__(self, catalog: FollowedCatalog, replicas: ReplicaPosts) -> None:
        self._catalog = catalog
        self._replicas = replicas
        self._places = asyncio.Semaphore(MAX_AT_A_TIME)

    def add_to(self, api: Api) -> None:
        """Add the routes."""
        self._api = api
        api.post_bytes("/models/{model}/infer", self._infer, MAX_REQUEST_BYTES)
        api.post_bytes("/models/{model}/chat", self._chat, MAX_REQUEST_BYTES)

    async def _infer(self, request: Request, sent: Body) -> Response:
        body = await self._read(sent)
        model = request.names["model"]
        name = quote(model, safe="")
        if body.wanted and not body.wanted.isdigit():
            path = f"/v2/models/{name}@{quote(body.wanted, safe='')}/infer"
        else:
            path = f"/v2/models/{name}{f'/versions/{body.wanted}' if body.wanted else ''}/infer"
        replica = self._replica(model, body.wanted)
        headers = self._headers(request, body)
        async with self._places, _within(INFER_SECONDS):
            return await self._whole(headers, replica, path, bytes(body.request))

    async def _chat(self, request: Request, sent: Body) -> Response:
        body = await self._read(sent)
        model = request.names["model"]
        document = await self._in_thread(len(sent), lambda: _as_object(body.request))
        separator = "/" if body.wanted.isdigit() else "@"
        document["model"] = f"{model}{separator}{body.wanted}" if body.wanted else model
        path = "/v1/chat/completions" if "messages" in document else "/v1/completions"
        replica = self._replica(model, body.wanted)
        headers, content = self._headers(request, body), msgspec.json.encode(document)
        async with self._places, _within(CHAT_SECONDS):
            if document.get("stream") is True:
                return await self._streamed(request, headers, replica, path, content)
            return await self._whole(headers, replica, path, content)

    async def _read(self, sent: Body) -> TrialBody:
        def read() -> TrialBody:
            try:
                return msgspec.json.decode(sent, type=TrialBody)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise bodies.invalid(f"the trial is not as it should be: {error}") from error

        return await self._in_thread(len(sent), read)

    async def _in_thread(self, size: int, work: Callable[[], Result]) -> Result:
        return work() if size <= SMALL_BYTES else await self._api.run_in_thread(work)

    def _replica(self, model: str, version: str) -> ReplicaRecord:
        self._catalog.asked()
        snapshot = self._catalog.snapshot
        return replica_for(snapshot, entry_of(snapshot, model), version, random.choice)

    def _headers(self, request: Request, body: TrialBody) -> dict[str, str]:
        """What the replica is told of the caller, and what he tells it for the route.

        Raises InvalidArgument (CHANGE_INVALID) for any other header: some say who somebody is.
        """
        entry = entry_of(self._catalog.snapshot, request.names["model"])
        told = {name.lower(): text for name, text in body.headers.items()}
        known = entry.route_headers()
        for name in told:
            if name not in known or _KEPT_BACK.fullmatch(name):
                raise bodies.invalid(f"the route does not look at the header {name!r:.100}")
        authorization = self._api.app.credentials_of(request)
        proof = {"authorization": authorization} if authorization else {}
        return told | proof | ({"x-request-id": request.id} if request.id else {})

    async def _whole(
        self, headers: Mapping[str, str], replica: ReplicaRecord, path: str, content: bytes
    ) -> Response:
        began = time.monotonic()
        posting = self._replicas.post(replica.http_address, path, headers, content)
        async with posting as answer:
            found = await answer.body(MAX_ANSWER_BYTES)
        spent = (time.monotonic() - began) * 1e3
        document = await self._in_thread(
            len(found), lambda: _told(answer.status, found, replica.id, spent)
        )
        return Response(document, JSON_TYPE, status=answer.status, headers=_NO_STORE)

    async def _streamed(
        self,
        request: Request,
        headers: Mapping[str, str],
        replica: ReplicaRecord,
        path: str,
        content: bytes,
    ) -> Response:
        posting = self._replicas.post(replica.http_address, path, headers, content)
        async with posting as answer:
            if not answer.content_type.startswith(EVENTS):
                found = await answer.body(MAX_ANSWER_BYTES)
                return Response(found, JSON_TYPE, status=answer.status, headers=_NO_STORE)
            response = Response(b"", EVENTS, headers=_NO_STORE)
            stream = request.begin(response)
            async for piece in answer.pieces():
                stream.write(piece)
                await stream.drain()
            return response


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    """Allow what is done inside so much time. Raises DeadlineExceeded."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise errors.DeadlineExceeded(
            "DEADLINE_EXCEEDED", f"the replica took more than {seconds:g} s; call it itself"
        ) from error


_NO_STORE = {"Cache-Control": "no-store"}


def _as_object(raw: msgspec.Raw) -> dict[str, object]:
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise bodies.invalid(f"the request is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise bodies.invalid("the request must be a JSON object")
    return found


class _Head(msgspec.Struct):
    """What of an answer says who made it."""

    model_version: str = ""
    parameters: dict[str, object] = {}
    system_fingerprint: str = ""
    """Of a text: `model/version-…`, which answered."""

    @property
    def version(self) -> str:
        """The version that answered; '' where it is not told."""
        return self.model_version or self.system_fingerprint.rpartition("/")[2].partition("-")[0]


def _told(status: int, found: bytes, replica: str, milliseconds: float) -> bytes:
    """A replica's answer with who made it and how long it took; a refusal stays as it is."""
    if status != 200:
        return found
    try:
        head = msgspec.json.decode(found, type=_Head)
    except msgspec.MsgspecError as error:
        raise errors.Unavailable(
            "REPLICA_UNREACHABLE", f"the replica's answer is not as it should be: {error}"
        ) from error
    return msgspec.json.encode(
        {
            "status": status,
            "version": head.version or None,
            "route": head.parameters.get(ROUTE),
            "replica": replica,
            "milliseconds": round(milliseconds, 3),
            "response": msgspec.Raw(found),
        }
    )
