"""What answers rows, whatever their number."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from headrace import errors
from headrace.datatype_names import Datatype
from headrace.lifecycle.predictors import ServedPredictor, SessionPredictor
from headrace.state.records import Batching, ServingConfig, Signature, TensorSpec
from tests.unit.headrace.lifecycle.graphs import linear

X = TensorSpec("x", Datatype.FP32, (-1, 2))


@dataclass(frozen=True)
class Pushed:
    model: str = "m"
    number: int = 3
    signature: Signature = Signature((X,), ())
    config: ServingConfig = ServingConfig(batching=Batching(max_batch_size=4))


class Doubling:
    """Answers twice what it is asked, after refusing so many requests for want of room."""

    def __init__(self, refusals: int = 0, *, cut: bool = False) -> None:
        self.sizes: list[int] = []
        self._refusals = refusals
        self._cut = cut

    async def infer(
        self, model: str, inputs: Mapping[str, Any], *, outputs: Iterable[str] = (), **_: Any
    ) -> Mapping[str, Any]:
        if self._refusals:
            self._refusals -= 1
            raise errors.ResourceExhausted("QUEUE_FULL", "no room", retry_after_seconds=0.001)
        self.sizes.append(len(inputs["x"]))
        doubled = inputs["x"] * 2
        return {"y": doubled[:1] if self._cut else doubled}


def rows(count: int) -> dict[str, Any]:
    return {"x": np.arange(count * 2, dtype=np.float32).reshape(count, 2)}


async def test_rows_are_split_and_put_together_again() -> None:
    """Requests have as many rows as the version batches, and answers keep the order."""
    client = Doubling(refusals=2)
    predictor = ServedPredictor(client, Pushed())
    answer = await predictor.predict(rows(10))
    assert [4, 4, 2] == sorted(client.sizes, reverse=True)
    assert 5 == predictor.requests
    np.testing.assert_array_equal(answer["y"], rows(10)["x"] * 2)


async def test_rows_of_a_version_that_does_not_batch_go_alone() -> None:
    """What is beside a row may change its answer there."""
    client = Doubling()
    await ServedPredictor(client, Pushed(config=ServingConfig())).predict(rows(3))
    assert [1, 1, 1] == client.sizes


async def test_outputs_without_a_row_for_each_are_refused() -> None:
    """Rows are never given the answer of another."""
    with pytest.raises(errors.InvalidArgument, match="no answer for each") as caught:
        await ServedPredictor(Doubling(cut=True), Pushed()).predict(rows(3))
    assert "OUTPUT_WITHOUT_ROWS" == caught.value.reason


async def test_session_answers_as_the_graph() -> None:
    """A session of this process answers the same, in pieces."""
    predictor = SessionPredictor(linear([[1.0], [10.0]], [0.5]), rows_per_run=2)
    answer = await predictor.predict(rows(5))
    assert 3 == predictor.requests
    assert [[10.5], [32.5], [54.5], [76.5], [98.5]] == answer["y"].tolist()
    assert (-1, 2) == predictor.signature.inputs[0].shape


async def test_session_answers_without_maps_as_the_served_version(tmp_path: Path) -> None:
    """A ZipMap at the end is taken off, of bytes and of a file with its weights beside it."""
    model = onnx.load_from_string(linear([[1.0], [10.0]], [0.5]))
    model.graph.node.append(
        helper.make_node("ZipMap", ["y"], ["z"], domain="ai.onnx.ml", classlabels_int64s=[5])
    )
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    maps = helper.make_map_type_proto(7, helper.make_tensor_type_proto(1, []))
    made = helper.make_value_info("z", helper.make_sequence_type_proto(maps))
    model.graph.output[0].CopyFrom(made)
    data = model.SerializeToString()
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=0)
    for graph in (data, path):
        answer = await SessionPredictor(graph).predict(rows(2))
        assert [[10.5], [32.5]] == answer["z"].tolist()
    assert (tmp_path / "weights").exists()


def test_session_refuses_what_is_no_graph() -> None:
    """The runtime's word is passed on."""
    with pytest.raises(errors.InvalidArgument) as caught:
        SessionPredictor(b"nonsense")
    assert "GRAPH_UNUSABLE" == caught.value.reason


async def test_no_rows_are_an_error() -> None:
    """Nothing was asked: there is nothing to answer."""
    with pytest.raises(errors.InvalidArgument, match="no rows"):
        await ServedPredictor(Doubling(), Pushed()).predict(rows(0))
    await asyncio.sleep(0)
