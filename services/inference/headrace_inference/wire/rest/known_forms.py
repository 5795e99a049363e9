"""Remembers the forms of requests, so that those alike are compared, not parsed.

The JSON of one client's requests repeats: byte for byte where the tensors are binary data behind it, and
but for the lists of values where they stand in it. What is around the lists is fixed text; a list that
decodes as one of numbers can mean nothing else there.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from headrace.datatypes import Datatype
from headrace.service.http.requests import Body
from headrace_inference.domain.ingress.incoming import RequestHeader
from headrace_inference.domain.scheduling.requests import Array, TensorData
from headrace_inference.domain.scheduling.response_cache import BoundedCache
from headrace_inference.wire.codec.tensors import ZERO_COPY_BYTES
from headrace_inference.wire.rest.requests import RestRequest
from headrace_inference.wire.rest.tensors import PlainNumbers, plain_numbers

MAX_KEPT_BYTES = 4096
"""The longest fixed text that is kept."""

MAX_TENSORS = 64
"""A request with more inputs and outputs is not kept."""

MAX_FORMS = 8
"""Of JSON requests for one name."""

MAX_NAMES = 128

Given = Sequence[TensorData]
"""The values of a request's inputs, in its own order."""


@dataclass(frozen=True, slots=True, eq=False)
class BinaryForm:
    """The JSON in front of binary tensors, parsed, and where each tensor is in the whole body."""

    header: RequestHeader
    request: RestRequest
    ranges: tuple[tuple[int, int], ...]

    def given(self, body: Body) -> Given:
        """The values in a body of this form."""
        return [
            memoryview(body)[start:end]
            if end - start >= ZERO_COPY_BYTES
            else bytes(body[start:end])
            for start, end in self.ranges
        ]


@dataclass(frozen=True, slots=True, eq=False)
class JsonForm:
    """A whole body, parsed: the fixed text around the lists of its inputs, and what the lists are."""

    header: RequestHeader
    request: RestRequest
    fixed: tuple[bytes, ...]
    numbers: tuple[PlainNumbers, ...]

    def given(self, body: bytes) -> Given | None:
        """The values in a body; None for one of another form, or with values that are wrong."""
        fixed = self.fixed
        if not body.startswith(fixed[0]) or not body.endswith(fixed[-1]):
            return None
        values: list[Array] = []
        start = len(fixed[0])
        last = len(body) - len(fixed[-1])
        for place, numbers in enumerate(self.numbers, 1):
            end = last if place == len(self.numbers) else body.find(fixed[place], start, last)
            if end < start:
                return None
            array = numbers.read(body[start:end])
            if array is None:
                return None
            values.append(array)
            start = end + len(fixed[place])
        return values


class KnownForms:
    """The forms of requests, by their names. It belongs to one event loop, and to threads that keep."""

    def __init__(self) -> None:
        self._binary: BoundedCache[tuple[str, str, bytes, int], BinaryForm] = BoundedCache()
        self._json: BoundedCache[tuple[str, str], tuple[JsonForm, ...]] = BoundedCache(MAX_NAMES)
        self._headers: BoundedCache[Hashable, RequestHeader] = BoundedCache()

    def find(
        self, model: str, version: str, body: Body, length: int | None
    ) -> tuple[BinaryForm | JsonForm, Given] | None:
        """Find the form of a body whose first bytes (None: all) are JSON, and its values."""
        if length is not None:
            if length > MAX_KEPT_BYTES:
                return None
            known = self._binary.get((model, version, bytes(body[:length]), len(body)))
            return None if known is None else (known, known.given(body))
        if isinstance(body, bytes):
            for form in self._json.get((model, version), ()):
                given = form.given(body)
                if given is not None:
                    return form, given
        return None

    def keep(
        self, model: str, version: str, body: Body, length: int | None, request: RestRequest
    ) -> RequestHeader:
        """Remember the form of a body that was parsed, where it is one to be remembered; its header."""
        header = self._header(model, version, request)
        plain = request.options.output_options is None and len(request.headers) <= MAX_TENSORS
        if length is None:
            if plain and isinstance(body, bytes):
                self._keep_json(model, version, body, request, header)
        elif plain and 0 < length <= MAX_KEPT_BYTES and (ranges := _ranges(request, length)):
            form = BinaryForm(header, _without_data(request), ranges)
            self._binary.keep((model, version, bytes(body[:length]), len(body)), form)
        return header

    def _keep_json(
        self, model: str, version: str, body: bytes, request: RestRequest, header: RequestHeader
    ) -> None:
        form = _json_form(body, request, header)
        if form is not None:
            known = self._json.get((model, version), ())
            self._json.keep((model, version), (form, *known[: MAX_FORMS - 1]))

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


def _ranges(request: RestRequest, length: int) -> tuple[tuple[int, int], ...]:
    """Where the inputs are in the body; nothing where any is elsewhere, or is made of texts."""
    ranges = []
    position = length
    for header, data in zip(request.headers, request.data, strict=True):
        if not isinstance(data, memoryview) or header.datatype == Datatype.BYTES:
            return ()
        ranges.append((position, position + len(data)))
        position += len(data)
    return tuple(ranges)


def _json_form(body: bytes, request: RestRequest, header: RequestHeader) -> JsonForm | None:
    """The form of a body whose inputs are all lists of numbers in their places."""
    fixed: list[bytes] = []
    numbers: list[PlainNumbers] = []
    end = 0
    for tensor, data in zip(request.headers, request.data, strict=True):
        if not isinstance(data, msgspec.Raw):
            return None
        plain, start = plain_numbers(tensor, data), _offset(body, memoryview(data))
        if plain is None or start < end:
            return None
        fixed.append(body[end:start])
        numbers.append(plain)
        end = start + len(memoryview(data))
    fixed.append(body[end:])
    if not numbers or sum(map(len, fixed)) > MAX_KEPT_BYTES:
        return None
    return JsonForm(header, _without_data(request), tuple(fixed), tuple(numbers))


def _offset(body: bytes, part: memoryview) -> int:
    """Return where a part of a body lies in its memory; -1 where it is none."""
    offset = _address(part) - _address(body)
    return offset if 0 <= offset <= len(body) - len(part) else -1


def _address(memory: bytes | memoryview) -> int:
    address: int = np.frombuffer(memory, np.uint8).__array_interface__["data"][0]
    return address


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
