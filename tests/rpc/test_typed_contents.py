"""Typed contents that cannot be what they say are refused, whichever front and thread reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.inference import grpc_service_pb2 as pb
from tests.rpc.grpc_fixtures import FRONTS, failure_of, open_grpc_replica
from tests.rpc.rest_fixtures import echo

NARROW = {
    Datatype.INT8: "int_contents",
    Datatype.INT16: "int_contents",
    Datatype.UINT8: "uint_contents",
    Datatype.UINT16: "uint_contents",
}
SIZES = (1, 30_000)
"""One is read through protobuf where it came, the other in place by another thread."""


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> str:
    """Each of the fronts."""
    return str(request.param)


def typed(datatype: Datatype, count: int, **fields: Any) -> Any:
    """A request of an echo with these typed contents."""
    message = pb.ModelInferRequest(model_name=f"echo-{datatype}")
    tensor = message.inputs.add(name="x", datatype=datatype.value, shape=[count])
    for name, values in fields.items():
        getattr(tensor.contents, name).extend(values)
    return message


async def test_values_that_are_none_of_a_narrow_datatype(tmp_path: Path, front: str) -> None:
    """The limits are taken, and one more is refused with its place, as REST refuses it."""
    async with open_grpc_replica(tmp_path, *map(echo, NARROW), front=front) as replica:
        for datatype, field in NARROW.items():
            limits = np.iinfo(NUMPY_DTYPES[datatype])
            for count in SIZES:
                good = [limits.min, *[limits.max] * (count - 1)]
                answer = await replica.stub.ModelInfer(typed(datatype, count, **{field: good}))
                dtype = NUMPY_DTYPES[datatype]
                assert good == np.frombuffer(answer.raw_output_contents[0], dtype).tolist()
                bad = [*good[:-1], limits.max + 1]
                call = replica.stub.ModelInfer(typed(datatype, count, **{field: bad}))
                code, reason, message = await failure_of(call)
                assert ("INVALID_ARGUMENT", "DATA_INVALID") == (code, reason)
                assert f"value {limits.max + 1} at place {count - 1}" in message


@pytest.mark.parametrize(
    ("datatype", "fields"),
    [
        (Datatype.INT8, {"int_contents": 1, "uint_contents": 1}),
        (Datatype.FP32, {"fp32_contents": 1.0, "fp64_contents": 1.0}),
        (Datatype.BOOL, {"bool_contents": True, "int64_contents": 1}),
        (Datatype.BYTES, {"bytes_contents": b"a", "int_contents": 1}),
        (Datatype.FP32, {"fp32_contents": 1.0, "bytes_contents": b""}),
    ],
)
async def test_values_in_two_typed_fields(
    tmp_path: Path, front: str, datatype: Datatype, fields: dict[str, Any]
) -> None:
    """Nobody guesses which of them are meant."""
    async with open_grpc_replica(tmp_path, echo(datatype), front=front) as replica:
        for count in SIZES:
            values = {name: [value] * count for name, value in fields.items()}
            call = replica.stub.ModelInfer(typed(datatype, count, **values))
            code, reason, message = await failure_of(call)
            assert ("INVALID_ARGUMENT", "CONTENTS_MIXED") == (code, reason)
            assert all(name in message for name in fields)


async def test_values_beside_an_empty_tensor(tmp_path: Path, front: str) -> None:
    """A tensor without elements has no values in any field."""
    async with open_grpc_replica(tmp_path, echo(Datatype.FP32), front=front) as replica:
        await replica.stub.ModelInfer(typed(Datatype.FP32, 0))
        call = replica.stub.ModelInfer(typed(Datatype.FP32, 0, int_contents=[1]))
        assert "CONTENTS_MIXED" == (await failure_of(call))[1]


async def test_more_texts_than_the_shape_has(tmp_path: Path, front: str) -> None:
    """The error does not count what nobody has read."""
    message = pb.ModelInferRequest(model_name="echo-BYTES")
    message.inputs.add(name="x", datatype="BYTES", shape=[2])
    message.raw_input_contents.append(b"\1\0\0\0a" * 10)
    async with open_grpc_replica(tmp_path, echo(Datatype.BYTES), front=front) as replica:
        _, reason, text = await failure_of(replica.stub.ModelInfer(message))

    assert "BYTES_COUNT_MISMATCH" == reason
    assert "unexpected number of string elements over 2 for inference input 'x', expected 2" == text
