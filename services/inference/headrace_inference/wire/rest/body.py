"""The bodies of REST requests: each bounded before and after decompression, and all of them together."""

from __future__ import annotations

import asyncio
import zlib
from contextvars import ContextVar

from aiohttp import StreamReader, web
from aiohttp.typedefs import Handler

from headrace.errors import DeadlineExceeded, InvalidArgument, ResourceExhausted, Unimplemented
from headrace_inference.domain.ingress.budget import InFlightBudget

SETTING = "max_http_body_bytes"
"""The setting that bounds a body; errors name it."""

TOTAL_SETTING = "max_http_bytes_in_flight"
"""The setting that bounds all bodies together."""

RETRY_AFTER_SECONDS = 0.1

Body = bytes | bytearray

SILENCE_SECONDS = 30.0
"""A client that sends nothing of its body for so long is given up; it would hold what it sent for ever."""

_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""HTTP's deflate is zlib's format (RFC 9110), header and checksum included."""


class HeldBytes:
    """The bytes that one request holds, of those that all may hold together."""

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self.count = 0

    def add(self, count: int) -> None:
        """Hold more, or less. Raises ResourceExhausted where that is more than all may hold together."""
        self._budget.add(count)
        self.count += count


class BodyBudget:
    """Counts the bytes of bodies, packed or not, from their arrival until their requests are answered.

    REST may hold a part of what all wires may hold together.
    """

    def __init__(self, max_bytes: int, shared: InFlightBudget) -> None:
        self._max_bytes = max_bytes
        self._shared = shared
        self.held_bytes = 0

    def add(self, count: int) -> None:
        """Hold more, or less. Raises ResourceExhausted where that is over a limit."""
        if count <= 0:
            self._shared.release(0, -count)
        elif self.held_bytes + count > self._max_bytes:
            raise self._over_limit()
        else:
            self._shared.hold(0, count)
        self.held_bytes += count

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Around every request: what `read_body` counted for it is given back at its end."""
        held = HeldBytes(self)
        token = _held.set(held)
        try:
            return await handler(request)
        finally:
            _held.reset(token)
            self.add(-held.count)

    def _over_limit(self) -> ResourceExhausted:
        return ResourceExhausted(
            "REPLICA_OVERLOADED",
            f"this replica holds {self.held_bytes} bytes of REST requests; it holds at most "
            f"{self._max_bytes} ({TOTAL_SETTING}); retry later, or add replicas",
            facts={"limit": str(self._max_bytes), "setting": TOTAL_SETTING},
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )


_held: ContextVar[HeldBytes] = ContextVar("held_bytes")


async def read_body(request: web.Request, max_bytes: int) -> Body:
    """All of the body, decompressed; its bytes count until the request is answered.

    Raises InvalidArgument for a body over `max_bytes` (in transit or decompressed) or a broken one,
    DeadlineExceeded for one that stalls, ResourceExhausted where all bodies together are too much,
    Unimplemented for an encoding other than gzip and deflate.
    """
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return await _read(request, max_bytes)
    if encoding not in _WINDOW_BITS:
        raise Unimplemented(
            "ENCODING_UNSUPPORTED",
            f"Content-Encoding '{encoding}' is not offered; send gzip, deflate or no encoding",
        )
    packed = await _read(request, max_bytes)
    body = await asyncio.to_thread(inflate, packed, encoding, max_bytes)
    _held.get().add(len(body) - len(packed))
    return body


def hold(count: int) -> None:
    """Count so many more bytes until the request is answered. Raises ResourceExhausted."""
    _held.get().add(count)


async def _read(request: web.Request, max_bytes: int) -> Body:
    if (request.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    try:
        return await _all_parts(request.content, max_bytes, _held.get())
    except web.RequestPayloadError as error:
        raise InvalidArgument("MALFORMED_BODY", f"the request's body is broken: {error}") from None
    except TimeoutError:
        raise DeadlineExceeded(
            "BODY_STALLED", f"nothing more of the request's body came for {SILENCE_SECONDS:g} s"
        ) from None


async def _all_parts(content: StreamReader, max_bytes: int, held: HeldBytes) -> Body:
    """All parts in one piece of memory, each copied once as it comes."""
    clock = asyncio.get_running_loop().time
    body = bytearray()
    async with asyncio.timeout(SILENCE_SECONDS) as limit:
        while not content.at_eof():
            part, _ = await content.readchunk()  # as it came; other ways to read copy it once more
            limit.reschedule(clock() + SILENCE_SECONDS)
            if len(body) + len(part) > max_bytes:
                raise _too_large(max_bytes)
            held.add(len(part))
            body += part
    return body


def inflate(packed: Body, encoding: str, max_bytes: int) -> bytes:
    """The bytes that were packed by `encoding`; never makes more than `max_bytes` and one of them.

    Raises InvalidArgument (BODY_TOO_LARGE, MALFORMED_ENCODING).
    """
    inflater = zlib.decompressobj(_WINDOW_BITS[encoding])
    try:
        body = inflater.decompress(packed, max_bytes + 1)
    except zlib.error as error:
        raise _broken(encoding, str(error)) from None
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    if not inflater.eof:
        raise _broken(encoding, "it ends before its end marker")
    if inflater.unused_data:
        raise _broken(encoding, f"{len(inflater.unused_data)} bytes follow its end marker")
    return body


def _too_large(max_bytes: int) -> InvalidArgument:
    return InvalidArgument(
        "BODY_TOO_LARGE",
        f"the request's body is larger than {max_bytes} bytes (also after decompression); split the "
        f"request, send it over gRPC, or raise the setting {SETTING}",
        facts={"limit": str(max_bytes), "setting": SETTING},
    )


def _broken(encoding: str, what: str) -> InvalidArgument:
    return InvalidArgument(
        "MALFORMED_ENCODING", f"the request's body is not the {encoding} that it says it is: {what}"
    )
