"""Values as tensors and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pytest

from headrace import errors
from headrace.client import tensors
from headrace.client.results import ROUTE_PARAMETER, Parameter
from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.inference import grpc_service_pb2


def echoed(array: Any) -> Any:
    """What comes back of an array from a server that answers with what it got."""
    request = tensors.request_to_proto(
        "echo", {"x": array}, version="", outputs=(), parameters={}, request_id=""
    )
    response = grpc_service_pb2.ModelInferResponse(raw_output_contents=request.raw_input_contents)
    tensor = request.inputs[0]
    response.outputs.add(name="x", datatype=tensor.datatype, shape=tensor.shape)
    return tensors.result_from_proto(response).outputs["x"]


@pytest.mark.parametrize("datatype", [d for d in Datatype if d is not Datatype.BYTES])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_numbers_come_back_as_they_went(datatype: Datatype, shape: tuple[int, ...]) -> None:
    """Every datatype keeps values, dtype and shape, also without elements or dimensions."""
    sent = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(NUMPY_DTYPES[datatype])

    back = echoed(sent)

    assert (sent.dtype, sent.shape) == (back.dtype, back.shape)
    assert np.array_equal(sent, back)


def test_other_memory_layouts_travel_as_values() -> None:
    """Big-endian and transposed arrays arrive with the same values."""
    sent = np.arange(6, dtype=">f4").reshape(2, 3).T

    assert np.array_equal(sent, echoed(sent))


@pytest.mark.parametrize(
    "sent",
    [
        np.array([["a", "ß"], ["", "c"]]),
        np.array([b"\xff\x00", b""], dtype=object),
        np.array(["x"], dtype=object),
    ],
)
def test_text_and_bytes_come_back_as_bytes(sent: Any) -> None:
    """BYTES tensors are object arrays of bytes; text travels as UTF-8."""
    expected = [v if isinstance(v, bytes) else str(v).encode() for v in sent.ravel()]

    back = echoed(sent)

    assert sent.shape == back.shape
    assert expected == list(back.ravel())


def test_dtypes_that_do_not_travel_are_refused() -> None:
    """Complex numbers have no datatype in the protocol."""
    with pytest.raises(errors.InvalidArgument, match="complex128"):
        echoed(np.zeros(2, dtype=complex))


def test_parameters_keep_their_kinds() -> None:
    """A bool is no int and an int no float on the wire, and all come back as they were."""
    given: dict[str, Parameter] = {"a": True, "b": 2, "c": 2.0, "d": "x"}
    request = tensors.request_to_proto(
        "m", {}, version="", outputs=("y",), parameters=given, request_id="r"
    )
    response = answer()
    for key, value in request.parameters.items():
        response.parameters[key].CopyFrom(value)
    response.parameters[ROUTE_PARAMETER].string_param = "canary"

    result = tensors.result_from_proto(response)

    assert given | {ROUTE_PARAMETER: "canary"} == result.parameters
    assert result.route == "canary"
    assert [type(given[key]) for key in given] == [type(result.parameters[key]) for key in given]
    assert [output.name for output in request.outputs] == ["y"]


def answer(
    shape: Sequence[int] = (1,), raw: Sequence[bytes] = (b"1234",), datatype: str = "FP32"
) -> grpc_service_pb2.ModelInferResponse:
    """An answer with the output y."""
    response = grpc_service_pb2.ModelInferResponse(raw_output_contents=raw)
    response.outputs.add(name="y", datatype=datatype, shape=shape)
    return response


@pytest.mark.parametrize(
    "response",
    [
        answer([2]),
        answer([1], []),
        answer([1], [b"123"]),
        answer([2], [b"1234", b"1234"]),
        answer([-1, -1]),
        answer([1] * 99),
        answer([0, 2**62]),
        answer(datatype="FP31"),
        answer(datatype=""),
        answer(raw=[b"\x05\0\0\0ab"], datatype="BYTES"),
        answer(raw=[b"\x05\0"], datatype="BYTES"),
        grpc_service_pb2.ModelInferResponse(),
    ],
)
def test_answers_that_are_not_whole_are_data_loss(
    response: grpc_service_pb2.ModelInferResponse,
) -> None:
    """Bytes that do not fill the shape are not handed out; unknown datatypes are not guessed."""
    with pytest.raises(errors.DataLoss) as caught:
        tensors.result_from_proto(response)

    assert "RESPONSE_MALFORMED" == caught.value.reason


def test_answers_hold_the_outputs_that_were_asked_for_once() -> None:
    """An output that is missing, or there twice, is no answer to hand out."""
    twice = answer()
    twice.MergeFrom(answer())
    assert {"y"} == set(tensors.result_from_proto(answer(), ["y"]).outputs)
    for response, wanted in ((answer(), ["y", "z"]), (twice, [])):
        with pytest.raises(errors.DataLoss, match=r"y|z"):
            tensors.result_from_proto(response, wanted)


def test_options_of_another_shape_are_type_errors() -> None:
    """One name is no list of names, and a number no dict; the message says what to write."""
    options: dict[str, Any] = {"version": "", "parameters": {}, "request_id": ""}
    with pytest.raises(TypeError, match=r"outputs are a list of names, such as \['label'\]"):
        tensors.request_to_proto("m", {}, outputs="label", **options)
    with pytest.raises(TypeError, match="classes say how many of which output, such as"):
        tensors.request_to_proto("m", {}, outputs=(), classes=cast("Any", 2), **options)
