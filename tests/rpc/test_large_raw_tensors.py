"""Large raw tensors, on both fronts: wherever they lie in a message, bit for bit what the runtime gives."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from headrace.datatypes import NUMPY_DTYPES, Datatype
from headrace.state.records import TensorSpec
from tests.rpc.grpc_fixtures import FRONTS, open_grpc_replica, request
from tests.rpc.rest_fixtures import Model, echo, model

LARGE_BYTES = 2**19
NUMBERS = [datatype for datatype in Datatype if datatype is not Datatype.BYTES]
COLUMNS = 40_000


@pytest.fixture(params=FRONTS)
def front(request: pytest.FixtureRequest) -> str:
    """Each of the fronts."""
    return str(request.param)


def statistics_model() -> Model:
    """Several outputs of each row, whose last bits depend on the order of sums."""
    nodes = [
        helper.make_node("Constant", [], ["axes"], value_ints=[1]),
        helper.make_node("ReduceSumSquare", ["x", "axes"], ["squares"], keepdims=0),
        helper.make_node("Softmax", ["x"], ["softmax"], axis=1),
        helper.make_node("Sigmoid", ["x"], ["sigmoid"]),
    ]
    x = TensorSpec("x", Datatype.FP32, (-1, COLUMNS))
    outputs = [
        TensorSpec("squares", Datatype.FP32, (-1,)),
        TensorSpec("softmax", Datatype.FP32, (-1, COLUMNS)),
        TensorSpec("sigmoid", Datatype.FP32, (-1, COLUMNS)),
    ]
    return model("statistics", nodes, [x], outputs)


async def test_tensors_of_every_datatype_come_back(tmp_path: Path, front: str) -> None:
    """At whichever byte of the message they begin, the first time and later, and empty ones beside them."""
    async with open_grpc_replica(tmp_path, *map(echo, NUMBERS), front=front) as replica:
        for datatype, length in itertools.product(NUMBERS, (0, 1, 2, 7, 7)):
            values = np.arange(LARGE_BYTES, dtype=np.uint8).view(NUMPY_DTYPES[datatype])
            if datatype is Datatype.BOOL:
                values = np.arange(LARGE_BYTES) % 3 == 0
            sent = request(f"echo-{datatype}", values, datatype, "i" * length)
            empty = request(f"echo-{datatype}", values[:0], datatype, "i" * length)
            answer = await replica.stub.ModelInfer(sent)
            nothing = await replica.stub.ModelInfer(empty)
            assert ("i" * length, "i" * length) == (answer.id, nothing.id)
            assert values.tobytes() == answer.raw_output_contents[0]
            assert ([0], b"") == (list(nothing.outputs[0].shape), nothing.raw_output_contents[0])


async def test_answers_are_those_of_the_runtime_bit_for_bit(tmp_path: Path, front: str) -> None:
    """Requests of one row and of several, with all outputs and with some, in any order."""
    served = statistics_model()
    session = onnxruntime.InferenceSession(served.graph.SerializeToString())
    random = np.random.default_rng(1)
    async with open_grpc_replica(tmp_path, served, front=front) as replica:
        for rows in (1, 3, 1, 3, 3):
            values = random.normal(size=(rows, COLUMNS)).astype(np.float32)
            for names in ((), ("sigmoid", "squares"), ("softmax",)):
                sent = request("statistics", values, request_id="i" * rows)
                for name in names:
                    sent.outputs.add(name=name)
                answer = await replica.stub.ModelInfer(sent)
                wanted = names or ("squares", "softmax", "sigmoid")
                expected = session.run(list(wanted), {"x": values})
                assert list(wanted) == [output.name for output in answer.outputs]
                assert [list(array.shape) for array in expected] == [
                    list(output.shape) for output in answer.outputs
                ]
                assert [array.tobytes() for array in expected] == list(answer.raw_output_contents)
