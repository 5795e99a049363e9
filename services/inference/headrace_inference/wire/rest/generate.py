"""The generate form: a JSON object with a member for each input and output, without shapes and datatypes.

Members that name no input are parameters, as are those of a member `parameters`. The leading dimensions of
an input that a value lacks are 1, so a single value fills any shape of ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from headrace.errors import InvalidArgument
from headrace.service.http.answers import JSON_TYPE, Response
from headrace.service.http.events import EVENT_STREAM, event
from headrace.service.http.requests import Body
from headrace.state.records import TensorSpec, VersionRecord
from headrace_inference.domain.ingress.limits import AnswerLimit
from headrace_inference.domain.ingress.loop_inference import Answer
from headrace_inference.domain.scheduling.requests import ResponsePart, TensorHeader
from headrace_inference.wire.rest.requests import (
    RestRequest,
    Scalar,
    decode_json,
    request_options,
)
from headrace_inference.wire.rest.tensors import tensor_to_json

Members = Mapping[str, msgspec.Raw]

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ID = msgspec.json.Decoder(str)
_SCALAR = msgspec.json.Decoder(Scalar)
_NOTHING = msgspec.Raw(b"{}")
_NO_PARAMETERS = ("id", "parameters")
_SCALARS = msgspec.json.Decoder(dict[str, Scalar])


def parse_generate(body: Body) -> Members:
    """The members of a request. Raises InvalidArgument (MALFORMED_JSON, MALFORMED_REQUEST)."""
    return decode_json(_MEMBERS, body)


class MemberParameters(Mapping[str, Scalar]):
    """The parameters of a request before a version says which members are inputs: all that can be one.

    They are read where a route looks at them. What is malformed is none: the version refuses it.
    """

    def __init__(self, members: Members) -> None:
        self._members = members

    def __getitem__(self, name: str) -> Scalar:
        """The value of a parameter. Raises KeyError."""
        text = self._members.get(name)
        if text is None or name in _NO_PARAMETERS:
            text = self._inner()[name]
        try:
            value: Scalar = _SCALAR.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise KeyError(name) from None
        return value

    def __iter__(self) -> Iterator[str]:
        """Their names."""
        yield from (name for name in self._members if name not in _NO_PARAMETERS)
        yield from (name for name in self._inner() if name not in self._members)

    def __len__(self) -> int:
        """Count them."""
        return sum(1 for _ in self)

    def _inner(self) -> Members:
        try:
            return _MEMBERS.decode(self._members.get("parameters", _NOTHING))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return {}


def generate_request(record: VersionRecord, members: Members) -> RestRequest:
    """The request that these members are to a version. Raises InvalidArgument."""
    signature = record.signature
    known = (*signature.inputs, *signature.optional_inputs)
    inputs = [spec for spec in known if spec.name in members]
    _check_complete(record, members)
    rest = {name: text for name, text in members.items() if name not in {i.name for i in inputs}}
    request_id = decode_json(_ID, rest.pop("id")) if "id" in rest else ""
    parameters = decode_json(_SCALARS, rest.pop("parameters", _NOTHING))
    for name, text in rest.items():
        parameters[name] = _parameter(record, name, text)
    tensors = [_tensor(spec, members[spec.name]) for spec in inputs]
    return RestRequest(
        id=request_id,
        headers=tuple(header for header, _ in tensors),
        outputs=(),
        data=tuple(text for _, text in tensors),
        binary={},
        binary_by_default=False,
        options=request_options(parameters, ()),
        parameters=parameters,
    )


def _check_complete(record: VersionRecord, members: Members) -> None:
    missing = [spec.name for spec in record.signature.inputs if spec.name not in members]
    if not missing:
        return
    form = "; the body is the form of infer: POST it there" if _is_infer_form(members) else ""
    raise InvalidArgument(
        "INPUT_MISSING",
        f"model '{record.model}' takes {_inputs(record)}; the body lacks {', '.join(missing)}{form}",
    )


def _is_infer_form(members: Members) -> bool:
    return bytes(memoryview(members.get("inputs", _NOTHING))[:1]) == b"["


def _inputs(record: VersionRecord) -> str:
    """The inputs with their datatypes and shapes, as members of the body."""
    return ", ".join(
        f"'{spec.name}' ({spec.datatype} {list(spec.shape)})" for spec in record.signature.inputs
    )


def _parameter(record: VersionRecord, name: str, text: msgspec.Raw) -> Scalar:
    try:
        value: Scalar = _SCALAR.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise InvalidArgument(
            "PARAMETER_INVALID",
            f"member '{name}' is not an input of model '{record.model}', which takes {_inputs(record)}; "
            "as a parameter it must be a text, a number, true, false or null",
            facts={"parameter": name},
        ) from None
    return value


def _tensor(spec: TensorSpec, text: msgspec.Raw) -> tuple[TensorHeader, msgspec.Raw]:
    """An input's header and data: its value in as many lists as the shape has dimensions."""
    shape: list[int] = []
    value = _decoded(spec, text)
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    missing = max(0, len(spec.shape) - len(shape))
    nested = b"[" * missing + bytes(text) + b"]" * missing
    header = TensorHeader(spec.name, spec.datatype.value, (*[1] * missing, *shape))
    return header, msgspec.Raw(nested)


def _decoded(spec: TensorSpec, text: msgspec.Raw) -> object:
    try:
        value: object = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidArgument(
            "DATA_INVALID", f"data of input '{spec.name}' ({spec.datatype}): {error}"
        ) from None
    return value


def encode_generated(
    request: RestRequest, answer: Answer, limit: AnswerLimit, *, as_event: bool = False
) -> Response:
    """The answer as one JSON object, perhaps as a server-sent event of it; nothing for the end of several.

    A tensor of one element is that element, others are flat lists. Raises HeadraceError.
    """
    if answer.part is ResponsePart.END:
        return Response()
    record = answer.version.record
    document: dict[str, object] = {"id": request.id} if request.id else {}
    document |= {"model_name": record.model, "model_version": answer.version.version_text}
    for place, array in zip(answer.request.plan.outputs, answer.outputs, strict=True):
        spec = record.signature.outputs[place]
        text = tensor_to_json(spec, array, limit)
        document[spec.name] = msgspec.Raw(text[1:-1] if array.size == 1 else text)
    body = msgspec.json.encode(document)
    if as_event:
        return Response(event(body), EVENT_STREAM)
    return Response(body, JSON_TYPE, compressible=True)
