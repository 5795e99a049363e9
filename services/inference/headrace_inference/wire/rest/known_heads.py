"""Remembers what requests are by what they repeat, so that most of a request's checks are made once."""

from __future__ import annotations

from collections.abc import Hashable

from headrace.datatypes import Datatype
from headrace.service.http.requests import Body
from headrace_inference.domain.ingress.incoming import RequestHeader
from headrace_inference.domain.scheduling.response_cache import BoundedCache
from headrace_inference.wire.rest.incoming import KnownHead, Ranges
from headrace_inference.wire.rest.requests import RestRequest

MAX_KEPT_BYTES = 4096
"""The longest JSON that is kept."""

MAX_TENSORS = 64
"""A request with more inputs and outputs is not kept."""


class KnownHeads:
    """The heads of requests: those of binary data by their bytes, others by what they say of tensors."""

    def __init__(self) -> None:
        self._heads: BoundedCache[tuple[str, str, bytes, int], KnownHead] = BoundedCache()
        self._headers: BoundedCache[Hashable, RequestHeader] = BoundedCache()

    def find(self, model: str, version: str, body: Body, length: int) -> KnownHead | None:
        """Find a request whose first bytes were the same, and whose body was as long."""
        if length > MAX_KEPT_BYTES:
            return None
        return self._heads.get((model, version, bytes(body[:length]), len(body)))

    def keep(
        self,
        model: str,
        version: str,
        body: Body,
        length: int | None,
        request: RestRequest,
        is_slow: bool,  # noqa: FBT001  # as it was found out
    ) -> tuple[RequestHeader, KnownHead | None]:
        """The header of a request that was parsed, and its head if its likes may share that."""
        header = self._header(model, version, request)
        ranges = _ranges(request, length)
        if is_slow or not length or length > MAX_KEPT_BYTES or not ranges:
            return header, None
        known = KnownHead(header, _without_data(request), len(body), ranges)
        self._heads.keep((model, version, bytes(body[:length]), len(body)), known)
        return header, None

    def _header(self, model: str, version: str, request: RestRequest) -> RequestHeader:
        names = (model, version, *request.outputs, *(one.name for one in request.headers))
        is_long = len(names) > MAX_TENSORS or sum(map(len, names)) > MAX_KEPT_BYTES
        if request.parameters or is_long:
            return RequestHeader(model, version, parameters=request.parameters)
        binary = tuple(request.binary.items())
        key = (model, version, request.headers, request.outputs, request.options, binary)
        header = self._headers.get(key)
        if header is None:
            header = RequestHeader(model, version)
            self._headers.keep(key, header)
        return header


def _ranges(request: RestRequest, length: int | None) -> Ranges:
    """Where the inputs are in the body; nothing where any is elsewhere, or is made of texts."""
    if length is None or request.options.output_options is not None:
        return ()
    ranges = []
    position = length
    for header, data in zip(request.headers, request.data, strict=True):
        if not isinstance(data, memoryview) or header.datatype == Datatype.BYTES:
            return ()
        ranges.append((position, position + len(data)))
        position += len(data)
    return tuple(ranges)


def _without_data(request: RestRequest) -> RestRequest:
    """The request without its values: what is kept must not keep a body."""
    return RestRequest(
        request.id,
        request.headers,
        request.outputs,
        (),
        request.binary,
        request.binary_by_default,
        request.options,
        request.parameters,
    )
