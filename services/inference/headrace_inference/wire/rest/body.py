"""The bodies of REST requests: each bounded before and after decompression, and all of them together."""

from __future__ import annotations

import zlib

from headrace.errors import InvalidArgument, ResourceExhausted, Unimplemented
from headrace.service.http.compression import WINDOW_BITS
from headrace.service.http.requests import Body
from headrace_inference.domain.ingress.budget import InFlightBudget

SETTING = "max_http_body_bytes"
"""The setting that bounds a body; errors name it."""

TOTAL_SETTING = "max_http_bytes_in_flight"
"""The setting that bounds all bodies together."""

RETRY_AFTER_SECONDS = 0.1


class HeldBytes:
    """The bytes that one request holds, of those that all may hold together."""

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self.count = 0

    def add(self, count: int) -> None:
        """Hold more, or less. Raises ResourceExhausted where that is more than all may hold together."""
        self._budget.add(count)
        self.count += count

    def release(self) -> None:
        """Hold nothing any more."""
        if self.count:
            self._budget.add(-self.count)
            self.count = 0


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

    def hold_answers(self, size: int) -> None:
        """Hold so many bytes of answers more, or less, whatever the limit."""
        self._shared.hold_answers(size)

    def _over_limit(self) -> ResourceExhausted:
        return ResourceExhausted(
            "REPLICA_OVERLOADED",
            f"this replica holds {self.held_bytes} bytes of REST requests; it holds at most "
            f"{self._max_bytes} ({TOTAL_SETTING}); retry later, or add replicas",
            facts={"limit": str(self._max_bytes), "setting": TOTAL_SETTING},
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )


def checked_encoding(text: str) -> str:
    """The encoding of a body by its header; '' for none. Raises Unimplemented (ENCODING_UNSUPPORTED)."""
    encoding = text.strip().lower()
    if encoding in ("", "identity"):
        return ""
    if encoding not in WINDOW_BITS:
        raise Unimplemented(
            "ENCODING_UNSUPPORTED",
            f"Content-Encoding '{encoding}' is not offered; send gzip, deflate or no encoding",
        )
    return encoding


def inflate(packed: Body, encoding: str, max_bytes: int) -> bytes:
    """The bytes that were packed by `encoding`; never makes more than `max_bytes` and one of them.

    Raises InvalidArgument (BODY_TOO_LARGE, MALFORMED_ENCODING).
    """
    inflater = zlib.decompressobj(WINDOW_BITS[encoding])
    try:
        body = inflater.decompress(packed, max_bytes + 1)
    except zlib.error as error:
        raise _broken(encoding, str(error)) from None
    if len(body) > max_bytes:
        raise too_large(max_bytes)
    if not inflater.eof:
        raise _broken(encoding, "it ends before its end marker")
    if inflater.unused_data:
        raise _broken(encoding, f"{len(inflater.unused_data)} bytes follow its end marker")
    return body


def too_large(max_bytes: int) -> InvalidArgument:
    """Refuse a body that is larger than any may be."""
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
