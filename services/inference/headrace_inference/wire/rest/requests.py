"""An inference request from its REST form: a JSON head, then its binary tensors in their order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

import msgspec

from headrace.datatypes import Datatype
from headrace.errors import InvalidArgument
from headrace.service.http.requests import Body
from headrace_inference.domain.extensions.shared_memory import RegionTable
from headrace_inference.domain.scheduling.requests import (
    NO_OPTIONS,
    Options,
    OutputOptions,
    SharedMemorySlice,
    TensorData,
    TensorHeader,
)
from headrace_inference.wire.codec.parameters import (
    BACKGROUND_KEY,
    checked_output_options,
    options_of,
    refuse_reserved,
    window,
)
from headrace_inference.wire.codec.slow_requests import (
    LONG_COPY_BYTES,
    MOST_READING_NS,
    texts_reading_ns,
)
from headrace_inference.wire.codec.tensors import ZERO_COPY_BYTES, raw_texts, window_contents
from headrace_inference.wire.rest.other_forms import WayOut, members_of_other_form
from headrace_inference.wire.rest.tensors import tensor_from_json

HEADER_LENGTH = "Inference-Header-Content-Length"
"""The header that says how many bytes of a body are JSON; what follows is the binary tail."""

MAX_DIMENSIONS = 64
"""More than numpy has."""

MAX_TENSORS = 8192
"""Inputs or outputs of a request: each costs microseconds, and a body could name a million."""

Scalar = bool | int | float | str | None
Dimension = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Size = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Known = TypeVar("Known", bound=msgspec.Struct)
Decoded = TypeVar("Decoded")

MALFORMED_REQUEST = "MALFORMED_REQUEST"
"""The reason of JSON that is none of what a route takes."""

_ABSENT = (b"", b"null")
_MAX_DIGITS = 18
_FINAL_RESPONSE = "triton_enable_empty_final_response"
"""Triton's own clients put it into every request."""


class InferInput(msgspec.Struct, frozen=True):
    """One input: `data` are its values, unless its parameters say where they are."""

    name: str
    datatype: str
    shape: Annotated[tuple[Dimension, ...], msgspec.Meta(max_length=MAX_DIMENSIONS)]
    parameters: dict[str, Scalar] | None = None
    data: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)


class InferOutput(msgspec.Struct, frozen=True):
    """One output that is asked for."""

    name: str
    parameters: dict[str, Scalar] | None = None


class InferBody(msgspec.Struct, frozen=True):
    """A request: without `outputs`, all of them are asked for."""

    inputs: Annotated[list[InferInput], msgspec.Meta(max_length=MAX_TENSORS)]
    id: str | None = None
    outputs: Annotated[list[InferOutput], msgspec.Meta(max_length=MAX_TENSORS)] | None = None
    parameters: dict[str, Scalar] | None = None


class IndexBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an index request: whether only ready versions are asked for."""

    ready: bool | None = None


class _RequestParameters(msgspec.Struct, frozen=True):
    binary_data_output: bool | None = None
    priority: Size | None = None
    timeout: Size | None = None
    headrace_background: bool | None = None
    sequence_id: int | str | None = None
    sequence_start: bool | None = None
    sequence_end: bool | None = None
    triton_enable_empty_final_response: bool | None = None


class _WindowParameters(msgspec.Struct, frozen=True):
    shared_memory_region: str | None = None
    shared_memory_byte_size: Size | None = None
    shared_memory_offset: Size | None = None

    def window(self, what: str) -> SharedMemorySlice | None:
        """The stretch of shared memory that these name."""
        size, offset = self.shared_memory_byte_size, self.shared_memory_offset
        return window(self.shared_memory_region, size, offset, what)


class _InputParameters(_WindowParameters, frozen=True):
    binary_data_size: Size | None = None


class _OutputParameters(_WindowParameters, frozen=True):
    binary_data: bool | None = None
    classification: int | None = None


_HEAD = msgspec.json.Decoder(InferBody)


@dataclass(frozen=True, slots=True)
class RestRequest:
    """A request whose form is right; whether it fits a version, and what its values are, is not known yet.

    `binary` says of each output asked for by name whether it is wanted as binary data,
    `binary_by_default` of all others. The `data` of an input may be in shared memory.
    """

    id: str
    headers: tuple[TensorHeader, ...]
    outputs: tuple[str, ...]
    data: tuple[msgspec.Raw | memoryview | SharedMemorySlice, ...]
    binary: Mapping[str, bool]
    binary_by_default: bool
    options: Options = NO_OPTIONS
    parameters: Mapping[str, Scalar] = field(default_factory=dict)

    def contents(self, regions: RegionTable) -> list[TensorData]:
        """The values of each input; call it once the headers passed the checks. Raises HeadraceError."""
        return [_contents(*pair, regions) for pair in zip(self.headers, self.data, strict=True)]

    @property
    def window_bytes(self) -> int:
        """Return how much is to be read from shared memory."""
        return sum([data.byte_size for data in self.data if isinstance(data, SharedMemorySlice)])

    @property
    def contents_take_long(self) -> bool:
        """Return whether to decode what is not in the JSON in another thread: large texts and windows."""
        expected_ns = sum(
            [
                texts_reading_ns(data, math.prod(header.shape))
                for header, data in zip(self.headers, self.data, strict=True)
                if isinstance(data, memoryview) and header.datatype == Datatype.BYTES
            ]
        )
        return expected_ns > MOST_READING_NS or self.window_bytes > LONG_COPY_BYTES

    def wants_binary(self, output: str) -> bool:
        """Return whether this output is to be in the binary tail of the answer."""
        return self.binary.get(output, self.binary_by_default)


def parse_request(
    body: Body, header_length: int | None, way_out: WayOut = lambda _: ""
) -> RestRequest:
    """The request in a body whose first `header_length` bytes (None: all) are JSON.

    `way_out` says, by its members, where a JSON object without `inputs` should have gone.
    Raises InvalidArgument for what is not the protocol's form, Unimplemented for what is not offered.
    """
    view = memoryview(body)
    end = len(view) if header_length is None else header_length
    head = _parse_head(view[:end], way_out)
    parameters = head.parameters or {}
    outputs = head.outputs or []
    known = [
        _known(_OutputParameters, part.parameters, f"output '{part.name}'") for part in outputs
    ]
    output_options = [
        checked_output_options(wanted.classification, wanted.window(f"output '{part.name}'"))
        for part, wanted in zip(outputs, known, strict=True)
    ]
    options = request_options(parameters, output_options)
    return RestRequest(
        id=head.id or "",
        headers=tuple(TensorHeader(part.name, part.datatype, part.shape) for part in head.inputs),
        outputs=tuple(output.name for output in outputs),
        data=_data(head.inputs, view[end:], has_tail=header_length is not None),
        binary={
            part.name: wanted.binary_data
            for part, wanted in zip(outputs, known, strict=True)
            if wanted.binary_data is not None
        },
        options=options,
        binary_by_default=bool(parameters.get("binary_data_output")),
        parameters=parameters,
    )


def request_options(
    parameters: Mapping[str, Scalar], output_options: Sequence[OutputOptions]
) -> Options:
    """Return what a request asks for by its parameters. Raises InvalidArgument for wrong ones."""
    known = _known(_RequestParameters, parameters, "the request")
    refuse_reserved(key for key in parameters if key != _FINAL_RESPONSE)
    asked = {
        "priority": known.priority,
        "timeout": known.timeout,
        BACKGROUND_KEY: known.headrace_background,
    }
    return options_of(asked, output_options)


def header_length(text: str | None, body_bytes: int) -> int | None:
    """Return how much of a body is JSON by the header's text; None where there is no header.

    Raises InvalidArgument (HEADER_LENGTH_INVALID) for what is no number of bytes of the body.
    """
    if text is None:
        return None
    digits = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    if digits and int(text) <= body_bytes:
        return int(text)
    raise InvalidArgument(
        "HEADER_LENGTH_INVALID",
        f"{HEADER_LENGTH} is '{text}'; a number from 0 to the body's {body_bytes} bytes is expected: "
        "the length of the JSON in front of the binary data",
    )


def decode_json(decoder: msgspec.json.Decoder[Decoded], body: Body | msgspec.Raw) -> Decoded:
    """Return what a JSON body says. Raises InvalidArgument (MALFORMED_JSON, MALFORMED_REQUEST)."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidArgument(
            MALFORMED_REQUEST, f"the request is not as expected: {error}"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(
            "MALFORMED_JSON", _malformed(error, bytes(memoryview(body)[:200]))
        ) from None
    except RecursionError:
        raise InvalidArgument("MALFORMED_JSON", "the request's JSON is nested too deep") from None


def _parse_head(json: memoryview, way_out: WayOut) -> InferBody:
    try:
        return decode_json(_HEAD, json)
    except InvalidArgument as error:
        members = members_of_other_form(json)
        if error.reason != MALFORMED_REQUEST or members is None:
            raise
        raise InvalidArgument(
            MALFORMED_REQUEST,
            'the body needs a member "inputs", a list of tensors with name, datatype, shape and data'
            + way_out(members),
        ) from None


def _malformed(error: Exception, start: bytes) -> str:
    return (
        f"failed to parse the request JSON buffer: {error}; it begins with {start!r}. Where binary data "
        f"follows the JSON, {HEADER_LENGTH} says how long the JSON is; numbers that are not finite are "
        'the strings "NaN", "Infinity" and "-Infinity"'
    )


def _known(kind: type[Known], parameters: Mapping[str, Scalar] | None, what: str) -> Known:
    try:
        return msgspec.convert(parameters or {}, kind)
    except msgspec.ValidationError as error:
        raise InvalidArgument(
            "PARAMETER_INVALID", f"invalid value type for a parameter of {what}: {error}"
        ) from None


def _data(
    inputs: Sequence[InferInput], tail: memoryview, *, has_tail: bool
) -> tuple[msgspec.Raw | memoryview | SharedMemorySlice, ...]:
    """Each input's JSON, its stretch of the tail, or of shared memory."""
    data: list[msgspec.Raw | memoryview | SharedMemorySlice] = []
    position = 0
    for part in inputs:
        what = f"input '{part.name}'"
        parameters = _known(_InputParameters, part.parameters, what)
        window = parameters.window(what)
        size = _binary_size(part, parameters, window, has_tail=has_tail)
        if window is not None:
            data.append(window)
        elif size is None:
            data.append(part.data)
        else:
            data.append(tail[position : position + size])
            position += size
    if position != len(tail):
        raise InvalidArgument(
            "BINARY_SIZE_MISMATCH",
            f"unexpected binary data size: the inputs' binary_data_size add up to {position} bytes, "
            f"the body has {len(tail)} after its JSON",
        )
    return tuple(data)


def _binary_size(
    part: InferInput,
    parameters: _InputParameters,
    window: SharedMemorySlice | None,
    *,
    has_tail: bool,
) -> int | None:
    """The input's bytes in the tail; None where its values are in the JSON or in shared memory."""
    what = f"input '{part.name}'"
    size = parameters.binary_data_size
    has_data = bytes(memoryview(part.data)[:4]) not in _ABSENT
    places = has_data + (size is not None) + (window is not None)
    ways = "'data', the parameter 'binary_data_size' or the parameter 'shared_memory_region'"
    if places == 0:
        raise InvalidArgument(
            "CONTENTS_MISSING",
            f"unable to find data for {what} in request: it needs one of {ways}",
        )
    if places > 1:
        raise InvalidArgument("CONTENTS_MIXED", f"{what} has more than one of {ways}")
    if size is not None and not has_tail:
        raise InvalidArgument(
            "HEADER_LENGTH_MISSING",
            f"{what} says that it is binary data; then the header {HEADER_LENGTH} must say how long "
            "the JSON in front of it is",
        )
    return size


def _contents(
    header: TensorHeader, data: msgspec.Raw | memoryview | SharedMemorySlice, regions: RegionTable
) -> TensorData:
    if isinstance(data, SharedMemorySlice):
        return window_contents(header, data, regions)
    if isinstance(data, msgspec.Raw):
        return tensor_from_json(header, data)
    if header.datatype == Datatype.BYTES:
        return raw_texts(data, header)
    return data if len(data) >= ZERO_COPY_BYTES else bytes(data)
