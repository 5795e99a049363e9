"""Client and AsyncClient are twins, and a program of their callers passes a strict type checker."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt

import headrace
from headrace import AsyncClient, Client
from headrace.client import (
    Change,
    Embeddings,
    Generation,
    GenerationPart,
    Model,
    ModelMetadata,
    Route,
    Version,
)


def test_every_method_has_its_twin() -> None:
    """Both classes have the same public methods, with the same parameters and docstrings."""
    described = [
        {
            name: (str(inspect.signature(method).parameters), inspect.getdoc(method))
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_") and name != "close"
        }
        for kind in (AsyncClient, Client)
    ]

    assert described[0] == described[1]
    assert len(described[0]) > 20


def test_types_are_shipped() -> None:
    """Type checkers look for this file: without it they take nothing of the package for typed."""
    assert (Path(headrace.__file__).parent / "py.typed").is_file()


def of_a_caller(client: Client) -> None:
    """What `make check` finds out about callers; never run."""
    result = client.infer("iris", [[5.1, 3.5, 1.4, 0.2]])
    client.infer("iris", np.zeros((1, 4)), version=2, parameters={"priority": 1})
    client.infer("pair", {"a": [1, 2], "b": np.ones(2, np.int64), "c": ["text", "more"], "d": 3})
    assert_type(result["label"], npt.NDArray[Any])
    assert_type(result.notes, tuple[str, ...])
    assert_type(list(result), list[str])
    assert_type(client.push("iris", "iris.onnx"), Version)
    assert_type(client.models(), list[Model])
    assert_type(client.set_route("iris", 1), Route)
    assert_type(client.watch(), Generator[Change, None, None])
    assert_type(client.model_metadata("iris"), ModelMetadata)
    assert_type(client.chat("chat", "Hello", temperature=0.2, stop="\n"), Generation)
    assert_type(client.chat_stream("chat", []), Generator[GenerationPart, None, None])
    assert_type(client.generate("chat", [1, 2], json_schema={"type": "object"}), Generation)
    assert_type(client.embed("minilm", ["a", "b"]), Embeddings)
    assert_type(client.embed("minilm", "a").vectors, npt.NDArray[np.float32])


async def of_an_asyncio_caller(client: AsyncClient) -> None:
    """The same; never run."""
    result = await client.infer("iris", [[5.1, 3.5, 1.4, 0.2]])
    assert_type(result["label"], npt.NDArray[Any])
    assert_type(await client.models(), list[Model])
    assert_type(client.watch(), AsyncGenerator[Change, None])
    assert_type(await client.chat("chat", "Hello", max_tokens=5), Generation)
    assert_type(client.generate_stream("chat", "Once"), AsyncGenerator[GenerationPart, None])
