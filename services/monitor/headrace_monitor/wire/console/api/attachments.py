"""GET /api/v1/models/{model}/versions/{version}/attachment: files of strangers, which do nothing here.

An attachment is what its author made of it. A browser that shows one must not let it act as the console:
it is shown in a sandbox without scripts, without an origin, without anything that it may load; and what
is of no kind that is known to be harmless there is saved, not shown.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from typing import Protocol
from urllib.parse import quote

from headrace import errors
from headrace.client.annotation_resources import Attachment, VersionAnnotations
from headrace.security.callers import current_caller
from headrace.service.http.answers import HTML_TYPE, JSON_TYPE, Response
from headrace.service.http.requests import Request
from headrace_monitor.domain.catalog.on_behalf import OnBehalf
from headrace_monitor.wire.console.api import parameters
from headrace_monitor.wire.console.api.api import PREFIX, Api

MAX_AT_A_TIME = 8
"""Files that are sent at a time; others wait. Of each a piece is held."""
SANDBOX = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_TEXT = "text/plain; charset=utf-8"
_SHOWN = {
    "text/html": HTML_TYPE,
    "text/plain": _TEXT,
    "text/markdown": _TEXT,
    "text/csv": _TEXT,
    "application/json": JSON_TYPE,
    "image/png": "image/png",
}
"""What is shown, and as what. All else is saved: of SVG, too, only because it could hold scripts."""
_SAVED = "application/octet-stream"
_HEADERS = {
    "Content-Security-Policy": SANDBOX,
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-cache",
    "Vary": "Authorization, Cookie",
}
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


class AttachedFiles(Protocol):
    """Reads what is attached to versions, for callers. Raises the registry's errors."""

    async def of(self, caller: OnBehalf, model: str, number: int) -> VersionAnnotations:
        """All that is said of a version."""

    def pieces(self, caller: OnBehalf, file: Attachment) -> AsyncGenerator[bytes, None]:
        """The bytes of an attachment, as they come."""


class AttachmentsApi:
    """Sends files that belong to versions."""

    def __init__(self, files: AttachedFiles) -> None:
        self._files = files
        self._places = asyncio.Semaphore(MAX_AT_A_TIME)

    def add_to(self, api: Api) -> None:
        """Add the route."""
        self._app = api.app
        api.app.add("GET", f"{PREFIX}/models/{{model}}/versions/{{version}}/attachment", self._send)

    async def _send(self, request: Request) -> Response:
        model, number = request.names["model"], _number(request.names["version"])
        path = parameters.text(request, "path")
        authorization = self._app.credentials_of(request)
        caller = OnBehalf(authorization, current_caller().claim, request_id=request.id)
        said = await self._files.of(caller, model, number)
        file = said.attachment(path)
        if file is None:
            raise _not_found(said, path)
        etag = f'"{file.sha256}"'
        response = _response(file, etag, saved=request.head.query.get("save") == "true")
        if etag in request.head.get("if-none-match"):
            response.status = HTTPStatus.NOT_MODIFIED
            return response
        async with self._places:
            return await self._stream(request, response, caller, file)

    async def _stream(
        self, request: Request, response: Response, caller: OnBehalf, file: Attachment
    ) -> Response:
        """Send the bytes; what is not what was attached breaks off, so that nobody takes it for whole."""
        digest, sent = hashlib.sha256(), 0
        async with aclosing(self._files.pieces(caller, file)) as pieces:
            first = await anext(pieces, b"")  # a refusal comes before the head is sent
            stream = request.begin(response)
            piece: bytes | None = first
            while piece is not None:
                digest.update(piece)
                sent += len(piece)
                if sent > file.size_bytes:
                    break
                stream.write(piece)
                await stream.drain()
                piece = await anext(pieces, None)
        if digest.hexdigest() != file.sha256:
            raise errors.DataLoss(
                "BLOB_DAMAGED", f"{file.path} has other bytes than were attached: attach it again"
            )
        return response


def _response(file: Attachment, etag: str, *, saved: bool) -> Response:
    media_type = file.media_type.partition(";")[0].strip().lower()
    shown = None if saved else _SHOWN.get(media_type)
    headers = {**_HEADERS, "ETag": etag}
    headers["Content-Disposition"] = _disposition("inline" if shown else "attachment", file.path)
    return Response(b"", shown or _SAVED, headers=headers)


def _disposition(how: str, path: str) -> str:
    """Its name, so that no program takes it for another header, or for a place elsewhere."""
    name = path.rpartition("/")[2]
    plain = _ODD.sub("_", name).lstrip(".") or "attachment"
    return (
        f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name.lstrip('.') or plain, safe='')}"
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 19 and int(text)):
        raise parameters.invalid("version", "must be the number of a version")
    return int(text)


def _not_found(said: VersionAnnotations, path: str) -> errors.NotFound:
    there = ", ".join(each.path for each in said.attachments[:5]) or "none"
    return errors.NotFound(
        "ATTACHMENT_NOT_FOUND",
        f"version {said.version} of {said.model!r} has no attachment {path!r}: it has {there}",
    )
