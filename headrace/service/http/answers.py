"""Answers to requests, and how they are written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from http import HTTPStatus

import msgspec

from headrace import errors

JSON_TYPE = "application/json"
HTML_TYPE = "text/html; charset=utf-8"

Part = bytes | memoryview
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
_CLOSE = b"Connection: close\r\n"
_KEEP_ALIVE = b"Connection: keep-alive\r\n"
_BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class Response:
    """A status, headers and a body, in one piece or several that are sent one after the other.

    `head` is header lines that were made before; `reason` is that of an error, which an answer may tell.
    With `compressible`, it may be sent packed to whoever takes that. With `closes`, the connection ends.
    """

    __slots__ = ("closes", "compressible", "head", "headers", "parts", "reason", "size", "status")

    def __init__(
        self,
        body: bytes | str | Sequence[Part] = b"",
        content_type: str = "",
        *,
        status: int = HTTPStatus.OK,
        headers: Mapping[str, str] | None = None,
        head: bytes = b"",
        compressible: bool = False,
        reason: str = "",
    ) -> None:
        if isinstance(body, str):
            body = body.encode()
        self.parts: Sequence[Part] = (body,) if isinstance(body, bytes) else body
        self.size = len(body) if isinstance(body, bytes) else sum(map(len, self.parts))
        self.status = int(status)
        self.head = head
        self.headers = dict(headers) if headers else {}
        if content_type:
            self.headers["Content-Type"] = content_type
        self.compressible = compressible
        self.reason = reason
        self.closes = False

    def written_head(
        self, *, persistent: bool, minor_version: int, framing: bytes | None = None
    ) -> bytes:
        """The bytes in front of the body; `framing` is the line that says how one of no known size ends."""
        lines = [_STATUS_LINES[self.status], self.head]
        for name, value in self.headers.items():
            lines.append(f"{name}: {value}\r\n".encode("latin-1", "replace"))
        if framing is not None:
            lines.append(framing)
        elif self.status not in _BODILESS:
            lines.append(b"Content-Length: %d\r\n" % self.size)
        if not persistent:
            lines.append(_CLOSE)
        elif not minor_version:
            lines.append(_KEEP_ALIVE)
        lines.append(date_line())
        lines.append(b"\r\n")
        return b"".join(lines)


def json_response(
    document: object, *, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON answer."""
    return Response(msgspec.json.encode(document), JSON_TYPE, status=status, headers=headers)


def refusal(
    status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None, reason: str = ""
) -> Response:
    """A JSON answer that tells an error of HTTP's own, whose reason is HTTP's phrase."""
    reason = reason or status.phrase.upper().replace(" ", "_")
    body = msgspec.json.encode({"error": text or status.phrase, "reason": reason})
    return Response(body, JSON_TYPE, status=status, headers=headers, reason=reason)


def bug() -> errors.Internal:
    """The answer that callers get for a bug."""
    return errors.Internal(
        "INTERNAL", "the service failed on its own account; its log has the details"
    )


class _Date:
    """The header Date, made once a second."""

    def __init__(self) -> None:
        self.second = 0
        self.line = b""


_DATE = _Date()


def date_line() -> bytes:
    """The header Date, now."""
    now = int(time.time())
    if now != _DATE.second:
        _DATE.second, _DATE.line = now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode()
    return _DATE.line
