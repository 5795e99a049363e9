"""ModelInferRequest from its bytes, without copying tensors and mostly without parsing.

A request's top-level fields are scanned in place: tensors stay where they are in the received bytes, and
what is left (names, shapes, parameters: the header) goes through the generated code. The headers of one
client's requests repeat byte for byte, so parsed headers are kept, and so are templates: where in a request
of a certain length the fixed bytes, the id and the tensors lie. A request that fits a known template is
compared, not parsed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError

from headrace.errors import InvalidArgument
from headrace.inference import grpc_service_pb2 as pb
from headrace_inference.domain.scheduling.requests import (
    TensorHeader,
)
from headrace_inference.wire.codec.parameters import (
    options_of,
    output_options_of,
    parameters_of,
    window_of,
)
from headrace_inference.wire.codec.protobuf_fields import (
    LENGTH_DELIMITED,
    Range,
    malformed,
    read_field,
    read_varint,
)
from headrace_inference.wire.codec.request_templates import (
    MessageHeader,
    RequestTemplate,
    TemplateTable,
    checked_id,
)

Key = TypeVar("Key")
Value = TypeVar("Value")

MAX_KEPT_HEADERS = 4096
MAX_KEPT_HEADER_BYTES = 4096

MAX_FIELDS = 16_384
"""Of a request: each costs microseconds, so millions of empty ones would hold up all others for seconds."""

MAX_DIMENSIONS = 64
"""More than numpy has."""

_ID, RAW = 3, 7
_MODEL_NAME_TAG = 1 << 3 | LENGTH_DELIMITED
_MODEL_VERSION_TAG = 2 << 3 | LENGTH_DELIMITED
_FIELDS_LOOKED_AT = 64
"""For names: clients write them first."""


@dataclass(slots=True, eq=False)
class ParsedMessage:
    """A request: its header, its id, where in its bytes the raw contents lie, and the template it fits."""

    payload: bytes
    header: MessageHeader
    id: bytes
    raw: tuple[Range, ...]
    template: RequestTemplate | None


class RequestParser:
    """Parses requests, remembering headers and templates. One parser belongs to one thread."""

    def __init__(self) -> None:
        self._headers: dict[bytes, MessageHeader] = {}
        self._templates = TemplateTable()
        self.match = self._templates.match
        """Finds the template that a request fits, if one is known."""

    def parse(self, payload: bytes) -> ParsedMessage:
        """The request in these bytes. Raises InvalidArgument (MALFORMED_REQUEST, PARAMETER_INVALID)."""
        template = self.match(payload)
        if template is None:
            return self._parse_anew(payload)
        return ParsedMessage(
            payload, template.header, template.id_in(payload), template.raw, template
        )

    def _parse_anew(self, payload: bytes) -> ParsedMessage:
        fixed, id_range, raw = _scan(payload)
        header_bytes = b"".join([part for _, part in fixed])
        header = self._headers.get(header_bytes)
        if header is None:
            header = _parse_header(fixed)
            if len(header_bytes) <= MAX_KEPT_HEADER_BYTES and not header.typed:
                _keep(self._headers, header_bytes, header, MAX_KEPT_HEADERS)
        template: RequestTemplate | None = None
        if not header.typed and len(header_bytes) <= MAX_KEPT_HEADER_BYTES:
            template = RequestTemplate(fixed, id_range, raw, header)
            self._templates.keep(len(payload), template)
        return ParsedMessage(payload, header, checked_id(payload[slice(*id_range)]), raw, template)


def _keep(kept: dict[Key, Value], key: Key, value: Value, most: int) -> None:
    if len(kept) >= most:
        del kept[next(iter(kept))]  # the oldest: a client with endless headers must not grow us
    kept[key] = value


def _scan(payload: bytes) -> tuple[tuple[tuple[int, bytes], ...], Range, tuple[Range, ...]]:
    """The fixed stretches with their offsets, where the id is, and where the raw contents are.

    Fixed is all but the id's and the raw contents' own bytes; their tags and lengths are fixed, too.
    """
    fixed: list[tuple[int, bytes]] = []
    raw: list[Range] = []
    id_range = (0, 0)
    position = stretch = 0
    end = len(payload)
    fields = 0
    while position < end:
        fields += 1
        if fields > MAX_FIELDS:
            raise too_many_fields()
        tag, position = read_varint(payload, position, end)
        start, position = read_field(payload, position, tag & 7, end)
        if tag & 7 == LENGTH_DELIMITED and tag >> 3 in (_ID, RAW):
            fixed.append((stretch, payload[stretch:start]))
            stretch = position
            if tag >> 3 == RAW:
                raw.append((start, position))
            else:
                id_range = (start, position)
    if stretch < end:
        fixed.append((stretch, payload[stretch:end]))
    return tuple(fixed), id_range, tuple(raw)


def _parse_header(fixed: tuple[tuple[int, bytes], ...]) -> MessageHeader:
    """Parse what is fixed, with every raw content and the id left out, tag and all."""
    try:
        message = pb.ModelInferRequest.FromString(_without_raw(fixed))
    except DecodeError:
        raise malformed() from None
    inputs = message.inputs
    contents = tuple(part.contents if part.HasField("contents") else None for part in inputs)
    windows = tuple(window_of(part, f"input '{part.name}'") for part in inputs)
    parameters = parameters_of(message)
    options = options_of(parameters, [output_options_of(output) for output in message.outputs])
    return MessageHeader(
        model_name=message.model_name,
        model_version=message.model_version,
        inputs=tuple(TensorHeader(part.name, part.datatype, _shape(part)) for part in inputs),
        outputs=tuple(output.name for output in message.outputs),
        parameters=parameters,
        contents=contents,
        windows=windows,
        options=options,
        typed=any(part is not None for part in contents),
        plain=options.output_options is None and windows.count(None) == len(windows),
        window_bytes=sum(part.byte_size for part in windows if part is not None),
    )


def _shape(tensor: pb.ModelInferRequest.InferInputTensor) -> tuple[int, ...]:
    if len(tensor.shape) > MAX_DIMENSIONS:
        raise InvalidArgument(
            "TOO_MANY_DIMENSIONS",
            f"unexpected shape for input '{tensor.name}': it has {len(tensor.shape)} dimensions; "
            f"a tensor has at most {MAX_DIMENSIONS}",
        )
    return tuple(tensor.shape)


def _without_raw(fixed: tuple[tuple[int, bytes], ...]) -> bytes:
    """The fixed stretches, each ended before the tag and length of what follows it."""
    parts: list[bytes] = []
    for _, stretch in fixed:
        position = end = 0
        while position < len(stretch):
            end = position
            tag, after = read_varint(stretch, position, len(stretch))
            if tag & 7 == LENGTH_DELIMITED and tag >> 3 in (_ID, RAW):
                break
            _, position = read_field(stretch, after, tag & 7, len(stretch))
            end = position
        parts.append(stretch[:end])
    return b"".join(parts)


def names_in(payload: bytes) -> tuple[str, str]:
    """The model and the version that a request names which may be malformed; '' for what cannot be told."""
    names = {_MODEL_NAME_TAG: "", _MODEL_VERSION_TAG: ""}
    position = 0
    try:
        for _ in range(_FIELDS_LOOKED_AT):
            if position >= len(payload):
                break
            tag, position = read_varint(payload, position, len(payload))
            start, position = read_field(payload, position, tag & 7, len(payload))
            if tag in names:
                names[tag] = payload[start:position].decode(errors="replace")
            elif names[_MODEL_NAME_TAG]:  # both come before all else
                break
    except InvalidArgument:
        return names[_MODEL_NAME_TAG], names[_MODEL_VERSION_TAG]
    return names[_MODEL_NAME_TAG], names[_MODEL_VERSION_TAG]


def too_many_fields() -> InvalidArgument:
    """Refuse a request that has more than MAX_FIELDS."""
    return InvalidArgument(
        "TOO_MANY_FIELDS",
        f"the request has more than {MAX_FIELDS} inputs, outputs, parameters and raw contents together; "
        "send many values as one tensor",
    )
