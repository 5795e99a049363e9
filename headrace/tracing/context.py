"""The W3C trace context of a call, and the decision whether spans of it are kept.

The decision is made from one header, before anything of a span is made: calls whose callers decided are
traced as they say, of the others a share.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass

HEADER = "traceparent"

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_FIRST_VERSION, _NO_VERSION = "00", "ff"
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace: spans that are made here are children of `span_id` (0: they begin the trace)."""

    trace_id: int
    span_id: int
    is_sampled: bool = True

    def header(self) -> str:
        """It as a traceparent."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(self.is_sampled):02x}"


def parsed(traceparent: str) -> TraceContext | None:
    """Read a traceparent; None where it is none: then a new trace begins, as the standard has it."""
    found = _TRACEPARENT.fullmatch(traceparent.strip())
    if found is None:
        return None
    version, trace_id, span_id, flags, rest = found.groups()
    if version == _NO_VERSION or (rest and version == _FIRST_VERSION):
        return None
    if not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceContext(int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & _SAMPLED))


def new_span_id(bits: random.Random) -> int:
    """Make an id of a span: 64 bits, not 0."""
    return bits.getrandbits(64) or 1


class Sampler:
    """Says which calls are traced: those whose callers say so, and `share` (0 to 1) of all others."""

    def __init__(self, share: float, bits: random.Random | None = None) -> None:
        self._share = share
        self._bits = bits or random.Random()  # noqa: S311  # ids of traces are no secrets

    def context_of(self, headers: Iterable[tuple[str, str | bytes]]) -> TraceContext | None:
        """The place in a trace where a call's spans belong; None where none are kept."""
        for name, value in headers:
            if name == HEADER or (len(name) == len(HEADER) and name.lower() == HEADER):
                found = parsed(value) if isinstance(value, str) else None
                if found is not None:
                    return found if found.is_sampled else None
                break
        if self._share and self._bits.random() < self._share:
            return TraceContext(self._bits.getrandbits(128) or 1, 0)
        return None
