"""Reads the texts of a request that its route looks at, and gives each a place that never changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Protocol

from headrace.state.route_records import KeySource, RequestKey

Headers = Iterable[tuple[str, str | bytes]]
"""What came beside a request: gRPC metadata, or HTTP headers. Names may have any case."""

Parameter = bool | float | str | None
"""The value of a parameter; to a type checker, `float` has whole numbers, too."""


class WithParameters(Protocol):
    """A request that has parameters."""

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """Its parameters by name."""


class RoutedRequest(Protocol):
    """The texts of a request that a route may look at; each is read only when asked for."""

    @property
    def header(self) -> WithParameters:
        """The request without its values."""

    @property
    def metadata(self) -> Headers:
        """Return what came beside it."""


class _NoHeader:
    parameters: Mapping[str, Parameter] = {}


class _NoRequest:
    header: WithParameters = _NoHeader()
    metadata: Headers = ()


NO_REQUEST: RoutedRequest = _NoRequest()
"""Says nothing, so that weights alone choose."""


def text_of(request: RoutedRequest, key: RequestKey) -> str:
    """The text of a key, '' where the request has none; of a header given twice, the first."""
    wanted = key.name
    if key.source is KeySource.PARAMETER:
        return _as_text(request.header.parameters.get(wanted))
    for name, value in request.metadata:
        if name.lower() == wanted and isinstance(value, str):
            return value
    return ""


def _as_text(value: Parameter) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def place_of(model: str, text: str) -> float:
    """The place of a text among a model's requests, from 0 up to but not 100, the same for ever.

    Places are spread evenly, and those of one text in two models have nothing to do with one another.
    """
    named = f"{model}\0{text}".encode(errors="backslashreplace")
    number = int.from_bytes(blake2b(named, digest_size=8).digest())
    return 100 * ((number >> _DROPPED_BITS) / _PLACES)


_PLACES = 1 << 53
_DROPPED_BITS = 64 - 53
"""What a float holds exactly: 64 bits would be rounded up to the whole now and then."""
