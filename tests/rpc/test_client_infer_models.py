"""Inference through the client with real models behind a real front: what people type first works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from onnx import helper

from headrace.client import AsyncClient, Client
from headrace.datatypes import Datatype
from headrace.state.records import TensorSpec
from tests.rpc.grpc_fixtures import open_grpc_replica
from tests.rpc.rest_fixtures import Model, arithmetic, echo, model

ROW = [[1.0, 2.0, 3.0, 4.0]]


def columns() -> Model:
    """A model `columns` that answers sum = a + b, each a column."""
    specs = [TensorSpec(name, Datatype.FP32, (-1, 1)) for name in ("a", "b", "sum")]
    add = helper.make_node("Add", ["a", "b"], ["sum"])
    return model("columns", [add], specs[:2], specs[2:])


@asynccontextmanager
async def open_models(folder: Path) -> AsyncIterator[AsyncClient]:
    """A client of a replica with echo models and with `arithmetic`."""
    models = [echo(datatype) for datatype in (Datatype.FP32, Datatype.INT64, Datatype.BYTES)]
    async with (
        open_grpc_replica(folder, *models, arithmetic(), columns()) as replica,
        AsyncClient(inference=replica.grpc_address) as client,
    ):
        yield client


@dataclass
class Table:
    """What the client asks of a table, as pandas' are."""

    rows: npt.NDArray[np.float64]
    columns: list[str] = field(default_factory=list)

    def __getitem__(self, column: str) -> npt.NDArray[np.float64]:
        """A column."""
        return self.rows[:, self.columns.index(column)]

    def __array__(self, dtype: object = None, copy: object = None) -> npt.NDArray[np.float64]:
        """All of it."""
        return self.rows


async def test_what_people_type_first_works(tmp_path: Path) -> None:
    """One input needs no name; float64 and lists are cast and said; text is text; both clients do so."""
    array = np.array([0.1, np.nan, np.inf])

    def blocking(address: str) -> list[object]:
        with Client(inference=address) as client:
            result = client.infer("echo-FP32", array)
            return [*result, *result.notes, *client.infer("echo-BYTES", ["grüße"])["y"].tolist()]

    async with open_models(tmp_path) as client:
        result = await client.infer("echo-FP32", array)
        numbers = await client.infer("echo-INT64", {"x": [1, 2**62]})
        texts = await client.infer("echo-BYTES", ["a", "ß"])
        address = client._calls.settings.inference
        told = await asyncio.to_thread(blocking, address)

    np.testing.assert_array_equal(array.astype(np.float32), result["y"])
    note = "input 'x' was cast from float64 to FP32"
    assert ((note,), ()) == (result.notes, numbers.notes)
    assert [1, 2**62] == numbers["y"].tolist()
    assert (["a", "ß"], [b"a", "ß".encode()]) == (texts["y"].tolist(), texts.outputs["y"].tolist())
    assert ["y", note, "grüße"] == told


async def test_a_result_is_a_mapping_of_its_outputs(tmp_path: Path) -> None:
    """`in`, iteration, len and dict see the outputs; another name is a KeyError that names them."""
    async with open_models(tmp_path) as client:
        result = await client.infer("arithmetic", {"a": ROW, "b": ROW})

    assert (["sum", "product"], 2) == (list(result), len(result))
    assert ("sum" in result, "y" in result) == (True, False)
    assert [[2.0, 4.0, 6.0, 8.0]] == dict(result)["sum"].tolist()
    with pytest.raises(
        KeyError, match="'y' is not an output of this answer; its outputs are sum, product"
    ):
        result["y"]


async def test_what_does_not_fit_says_what_would(tmp_path: Path) -> None:
    """The input, what it takes and what was given; where several inputs are, they are named."""
    async with open_models(tmp_path) as client:
        with pytest.raises(
            TypeError, match=r"'x' takes INT64 \[-1\], got ndarray of float64 \[1\]: it holds"
        ):
            await client.infer("echo-INT64", {"x": np.array([0.5])})
        with pytest.raises(
            TypeError, match=r"takes 2 inputs \('a' FP32 \[-1, 4\], 'b' .* got list: give a dict"
        ):
            await client.infer("arithmetic", ROW)


async def test_tables_give_their_columns_by_name_or_are_the_one_input(tmp_path: Path) -> None:
    """As pandas' tables: a column for each input, or all columns as one array."""
    table = Table(np.array([[1.0, 2.0], [3.0, 4.0]]), ["a", "b"])
    async with open_models(tmp_path) as client:
        by_name = await client.infer("columns", table)
        whole = await client.infer("echo-FP32", Table(np.array([1.0, 2.0]), ["p"]))

    assert [[3.0], [7.0]] == by_name["sum"].tolist()
    assert [1.0, 2.0] == whole["y"].tolist()
