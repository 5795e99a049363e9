"""A version that is served in this process, as batches see it: a catalog and answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from headrace import errors
from headrace.client import AsyncClient
from headrace.datatype_names import Datatype
from headrace.datatypes import NUMPY_DTYPES
from headrace.state.records import Batching, ServingConfig, Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("n", Datatype.INT64, (-1,)),),
    (
        TensorSpec("next", Datatype.INT64, (-1,)),
        TensorSpec("halves", Datatype.FP16, (-1, 2)),
        TensorSpec("rough", Datatype.BF16, (-1, 1)),
        TensorSpec("text", Datatype.BYTES, (-1,)),
        TensorSpec("ragged", Datatype.FP32, (-1, -1)),
    ),
)
BAD = 7
"""A number that the version refuses."""


@dataclass(frozen=True)
class Pushed:
    model: str = "counter"
    number: int = 1
    digest: str = "d" * 64
    signature: Signature = SIGNATURE
    config: ServingConfig = ServingConfig(batching=Batching(max_batch_size=4))
    language: object = None


class Counter:
    """Counts on, by a few rows at a time; refuses requests with BAD in them."""

    def __init__(self, pushed: Pushed | None = None) -> None:
        self.pushed = pushed or Pushed()
        self.asked: list[int] = []
        self.parameters: list[Mapping[str, Any] | None] = []

    async def route(self, model: str) -> Any:  # there is one
        return SimpleNamespace(stable=self.pushed.number)

    async def resolve(self, model: str, version: int | str) -> int:  # as above
        return int(version)

    async def version(self, model: str, number: int) -> Pushed:  # as above
        return self.pushed

    async def infer(
        self,
        model: str,  # as above
        inputs: Mapping[str, Any],
        *,
        outputs: Iterable[str] = (),
        parameters: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> Mapping[str, Any]:
        n = inputs["n"]
        self.asked += n.tolist()
        self.parameters.append(parameters)
        if BAD in n:
            raise errors.InvalidArgument("DATA_OUT_OF_SCHEMA", f"{BAD} is not allowed")
        answers = {
            "next": n + 1,
            "halves": np.stack([n % 100 / 2, -(n % 100) / 2], axis=1).astype(np.float16),
            "rough": n.reshape(-1, 1).astype(NUMPY_DTYPES[Datatype.BF16]),
            "text": np.array([f'"{each}",é' for each in n], dtype=object),
            "ragged": np.full((len(n), 1 + int(n[0]) % 3), 1.5, np.float32),
        }
        return {name: answers[name] for name in outputs}


def client_of(counter: Counter) -> AsyncClient:
    """It as the client that it stands for."""
    return cast("AsyncClient", counter)
