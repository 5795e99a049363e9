"""Something that answers rows as a test says, without a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from headrace.datatype_names import Datatype
from headrace.lifecycle.evaluation import Evaluation, Question, evaluate_rows, read_data
from headrace.state.records import Signature, TensorSpec

Array = np.typing.NDArray[Any]
X = TensorSpec("x", Datatype.FP32, (-1, 1))


class Answering:
    """Answers input `x` with the outputs that a function makes of it."""

    def __init__(self, outputs: Callable[[Array], Mapping[str, Array]]) -> None:
        self._outputs = outputs
        specs = []
        for name, of in outputs(np.zeros((1, 1), np.float32)).items():
            kind = {"f": Datatype.FP32, "i": Datatype.INT64, "O": Datatype.BYTES}[of.dtype.kind]
            specs.append(TensorSpec(name, kind, (-1, *of.shape[1:])))
        self.signature = Signature((X,), tuple(specs))
        self.requests = 0

    async def predict(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of the rows."""
        self.requests += 1
        return dict(self._outputs(inputs["x"]))


async def evaluated(
    outputs: Callable[[Array], Mapping[str, Array]],
    columns: Mapping[str, Any],
    labels: Mapping[str, tuple[str, ...]] | None = None,
    **asked: Any,
) -> Evaluation:
    """The evaluation of such answers; the target is `y` unless another is asked."""
    question = Question(**{"target": ("y",), "resamples": 100, **asked})
    return await evaluate_rows(Answering(outputs), read_data(columns), question, labels)
