"""Many texts, which are read and written at once: as bare ONNX Runtime answers, on every wire."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from headrace import bytes_elements
from headrace.datatypes import Datatype
from headrace.state.records import TensorSpec
from headrace_inference.domain.scheduling.requests import Array
from tests.rpc.agreement import Ask, Reference, Wires, models, open_wires
from tests.rpc.grpc_fixtures import open_grpc_replica
from tests.rpc.rest_fixtures import Model, model

COUNT = 120
"""More than are looked at one by one, whoever reads or writes them."""

TEXTS = {
    "words": [f"word {number % 37}" for number in range(COUNT)],
    "alike": [f"{number % 37:012}" for number in range(COUNT)],
    "long": ["x" * (number * 7 % 90) for number in range(COUNT)],
    "not ascii": [f"wörd {number % 37} 日本 😀" for number in range(COUNT)],
    "empty": ["", "a", ""] * (COUNT // 3),
    "with NULs": [f"a\0{number}\0" for number in range(COUNT)],
    "around 256": ["y" * (250 + number % 10) * (number % 5 == 0) for number in range(COUNT)],
    "control": ['\n"\\\x1f\x7f/'] * COUNT,
}
WORDS = sorted({text for texts in TEXTS.values() for text in texts if "\0" not in text})


def array_of(texts: list[str], *shape: int) -> Array:
    """The texts as bytes, in this shape."""
    array: Array = np.empty(len(texts), np.object_)
    array[:] = [text.encode() for text in texts]
    return array.reshape(shape)


def operators() -> list[Model]:
    """Those that take texts and do something with them."""
    numbers = list(range(len(WORDS)))
    weighted: dict[str, Any] = {
        "ngram_counts": [0],
        "ngram_indexes": numbers,
        "pool_strings": WORDS,
    }
    lengths: dict[str, Any] = {"min_gram_length": 1, "max_gram_length": 1, "max_skip_count": 0}
    encoder = partial(helper.make_node, "LabelEncoder", ["x"], domain="ai.onnx.ml")
    tfidf = helper.make_node("TfIdfVectorizer", ["x"], ["y"], mode="TF", **weighted, **lengths)
    stop: dict[str, Any] = {
        "is_case_sensitive": 1,
        "case_change_action": "NONE",
        "stopwords": WORDS[:20],
    }
    made = [
        _operator("numbers", encoder(["y"], keys_strings=WORDS, values_int64s=numbers), "INT64"),
        _operator("others", encoder(["y"], keys_strings=WORDS, values_strings=WORDS[::-1])),
        _operator("counts", tfidf, "FP32"),
        _operator("kept", helper.make_node("StringNormalizer", ["x"], ["y"], **stop)),
    ]
    for each in made:
        each.graph.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return made


def _operator(name: str, node: Any, gives: str = "BYTES") -> Model:
    x, y = TensorSpec("x", Datatype.BYTES, (-1,)), TensorSpec("y", Datatype(gives), (-1,))
    return model(name, [node], [x], [y])


def answers(wires: Wires, name: str, asks: list[Ask]) -> dict[str, Any]:
    """What each way in gives for requests that come together."""
    return {
        "unary": wires.unary(name, Datatype.BYTES, asks),
        "stream": wires.stream(name, Datatype.BYTES, asks),
        "binary": wires.rest(name, Datatype.BYTES, asks, binary=True),
        "json": wires.rest(name, Datatype.BYTES, asks, binary=False),
    }


@pytest.mark.parametrize("way", ["python", "compiled"])
async def test_many_texts_are_answered_as_onnx_runtime_does(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    """Of every kind, beside those of every other kind in one batch, by both fronts."""
    compiled = request.getfixturevalue("compiled_elements") if way == "compiled" else None
    monkeypatch.setattr(bytes_elements, "compiled", compiled)
    rows = models([Datatype.BYTES])
    served = [*rows, *operators()]
    folders = [tmp_path / front for front in ("native", "grpcio")]
    for folder in folders:
        folder.mkdir()
    async with (
        open_grpc_replica(folders[0], *served, front="native") as native,
        open_grpc_replica(folders[1], *served, front="grpcio") as grpcio,
    ):

        def agree() -> None:
            with ExitStack() as stack:
                for replica in (native, grpcio):
                    opened = open_wires(replica.grpc_address, replica.http_address)
                    wires = stack.enter_context(opened)
                    for each in served:
                        shape = (2, COUNT // 2) if each in rows else (COUNT,)
                        asks = [Ask(array_of(texts, *shape)) for texts in TEXTS.values()]
                        reference = Reference(each)
                        expected = [reference.answer(ask) for ask in asks]
                        name = each.record.model
                        for sent, got in answers(wires, name, asks).items():
                            assert (name, sent, expected) == (name, sent, got)

        await asyncio.to_thread(agree)
