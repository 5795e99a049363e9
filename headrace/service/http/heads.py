"""The head of a request: its line and its headers, parsed by llhttp and kept for requests that repeat it.

What frames a body is strict: a head that says a length twice, or a length and chunks, is refused, and so is
a line that ends otherwise than HTTP says. Whoever stands between a client and us reads the same requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httptools

MAX_HEADER_BYTES = 64 * 1024
"""The first line and all headers together, as over gRPC; tokens of identity providers are long."""

MAX_HEADERS = 128
HEAD_END = b"\r\n\r\n"

_HTTP_2 = b"PRI * HTTP/2.0\r\n"
_MAX_KEPT = 1024
_MAX_KEPT_BYTES = 4096
_MAX_ERROR_TEXT = 300
_CHUNKED = "chunked"


class MalformedHttp(Exception):
    """What came is no request: the status and the text that its sender is told."""

    def __init__(self, text: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(text)
        self.text = " ".join(text.split())[:_MAX_ERROR_TEXT]
        self.status = status


@dataclass(eq=False)
class RequestHead:
    """The line and the headers of a request. Requests that repeat them byte for byte share one.

    `memo` is the application's: what it found out about the head, so that it need not do it again.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    """Names in lower case; values as they came, in Latin-1 where they are not UTF-8."""
    content_length: int
    is_chunked: bool
    is_persistent: bool
    """True where the connection goes on after the answer."""
    minor_version: int
    memo: Any = field(default=None, repr=False)
    admitted: Any = field(default=None, repr=False)
    """Whose it is, as was found out when it came first, and that he may (`http/admission.py`)."""

    @cached_property
    def values(self) -> dict[str, str]:
        """The headers by name; of several of one name, the first."""
        return dict(reversed(self.headers))

    def get(self, name: str, default: str = "") -> str:
        """The value of a header, by its name in lower case."""
        return self.values.get(name, default)

    @cached_property
    def raw_path(self) -> str:
        """The path as it was sent, without the query."""
        target = self.target
        if not target.startswith("/") and "://" in target:
            parts = urlsplit(target)
            target = parts.path or "/"
        return target.partition("?")[0].partition("#")[0]

    @cached_property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(self.raw_path)

    @cached_property
    def query(self) -> dict[str, str]:
        """The query's parameters; of several of one name, the first."""
        text = self.target.partition("?")[2].partition("#")[0]
        return dict(reversed(parse_qsl(text, keep_blank_values=True)))

    @cached_property
    def expects(self) -> str:
        """What its client expects before it sends the body; '' if nothing."""
        return self.get("expect").lower() if self.minor_version else ""


class HeadParser:
    """Parses heads, and remembers those that are short."""

    def __init__(self) -> None:
        self._kept: dict[bytes, RequestHead] = {}

    def parse(self, text: bytes) -> RequestHead:
        """The head in these bytes, which end as heads do. Raises MalformedHttp."""
        head = self._kept.get(text)
        if head is None:
            head = _parse(text)
            if len(text) <= _MAX_KEPT_BYTES:
                if len(self._kept) >= _MAX_KEPT:  # callers choose them: there may be no end of them
                    self._kept.clear()
                self._kept[text] = head
        return head


class PartialHead:
    """A head that comes in pieces: what is wrong with it is told before its end is there."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(_Collector())

    def feed(self, piece: bytes) -> None:
        """Look at another piece. Raises MalformedHttp."""
        _feed(self._parser, piece)


class _Collector:
    """Takes what llhttp finds."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.is_complete = True


def _feed(parser: Any, piece: bytes) -> None:
    try:
        parser.feed_data(piece)
    except httptools.HttpParserUpgrade:
        pass  # no other protocol is offered: the request is answered as it is
    except httptools.HttpParserError as error:
        raise MalformedHttp(f"what came is not HTTP/1.1: {error}") from None


def _parse(text: bytes) -> RequestHead:
    if len(text) > MAX_HEADER_BYTES:
        raise too_large(len(text))
    if text.startswith(_HTTP_2):
        raise MalformedHttp(
            "this port speaks HTTP/1.1, and what came is HTTP/2, as gRPC clients speak it; give them the "
            "service's gRPC port"
        )
    found = _Collector()
    parser = httptools.HttpRequestParser(found)
    _feed(parser, text)
    if not found.is_complete:
        raise MalformedHttp("what came is not HTTP/1.1: its head does not end")
    return _head(parser, found)


def _head(parser: Any, found: _Collector) -> RequestHead:
    if len(found.headers) > MAX_HEADERS:
        raise MalformedHttp(f"the request has more than {MAX_HEADERS} headers; send fewer")
    headers = tuple((_text(name).lower(), _text(value)) for name, value in found.headers)
    major, _, minor = parser.get_http_version().partition(".")
    if major != "1":
        raise MalformedHttp(f"HTTP/{major}.{minor} is not spoken here; send HTTP/1.1")
    if minor != "0" and [name for name, _ in headers].count("host") != 1:
        raise MalformedHttp("a request of HTTP/1.1 has the header Host, once")
    length, is_chunked = _framing(headers, int(minor))
    return RequestHead(
        parser.get_method().decode(),
        _text(found.target),
        headers,
        length,
        is_chunked,
        _is_persistent(headers, int(minor)),
        int(minor),
    )


def _framing(headers: tuple[tuple[str, str], ...], minor: int) -> tuple[int, bool]:
    """Return how long the body is, or that it is chunked. llhttp has refused most of what is ambiguous."""
    lengths = [value for name, value in headers if name == "content-length"]
    codings = [value.lower() for name, value in headers if name == "transfer-encoding"]
    if len(lengths) > 1 or (lengths and codings):
        raise MalformedHttp("the request says more than once how long its body is")
    if codings and (codings != [_CHUNKED] or not minor):
        raise MalformedHttp(
            "the only transfer encoding that is taken is chunked, once, in HTTP/1.1"
        )
    if lengths and not (lengths[0].isascii() and lengths[0].isdigit()):
        raise MalformedHttp("Content-Length is no number")
    return int(lengths[0]) if lengths else 0, bool(codings)


def _is_persistent(headers: tuple[tuple[str, str], ...], minor: int) -> bool:
    options = [
        option.strip().lower()
        for name, value in headers
        if name == "connection"
        for option in value.split(",")
    ]
    return "close" not in options and (minor > 0 or "keep-alive" in options)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def too_large(size: int) -> MalformedHttp:
    """Refuse a head that is larger than any may be."""
    return MalformedHttp(
        f"the request has {size} bytes in front of its body: one of more than {MAX_HEADER_BYTES} bytes is "
        "not taken; send shorter headers, or fewer",
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    )
