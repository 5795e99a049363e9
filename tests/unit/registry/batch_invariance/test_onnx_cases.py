"""ONNX's own test cases of operators, with some of their inputs as rows and the others as constants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from headrace_registry.adapters.batch_invariance import analyse
from tests.conformance.cases import GENERATED, Case, load_cases
from tests.unit.registry.batch_invariance.row_graphs import Array, Feeds, ran, session, stays_apart

LOUDNESS = ((1.0, 1.0), (0.01, 100.0, 1.0), (1.0, 3.0, 30.0, 0.1, 1.0))
MOST_CHOICES = 6


def with_rows(case: Case) -> Iterator[tuple[Any, Mapping[str, Array]]]:
    """The case's model, some inputs having a free first dimension and the others being constants."""
    built = onnx.ModelProto.FromString(case.model)
    values = dict(zip((i.name for i in built.graph.input), case.data_sets[0].inputs, strict=False))
    if len(values) != len(built.graph.input) or not all(map(_is_array, values.values())):
        return
    declared = {i.name: len(i.type.tensor_type.shape.dim) for i in built.graph.input}
    for names in _choices([name for name in values if declared[name] and values[name].ndim]):
        changed = onnx.ModelProto.FromString(case.model)
        for info in list(changed.graph.input):
            if info.name in names:
                dim = info.type.tensor_type.shape.dim[0]
                dim.Clear()
                dim.dim_param = "batch"
            else:
                changed.graph.input.remove(info)
                tensor = numpy_helper.from_array(values[info.name], info.name)
                changed.graph.initializer.append(tensor)
        for info in changed.graph.output:
            info.type.tensor_type.ClearField("shape")
        yield changed, {name: values[name] for name in names}


def _is_array(found: Any) -> bool:
    return isinstance(found, np.ndarray) and found.dtype.kind in "fiubO"


def _choices(names: list[str]) -> list[list[str]]:
    """All of them, each alone, and the first so many."""
    found = [names, *([name] for name in names), *(names[:n] for n in range(2, len(names)))]
    unique = {tuple(choice): choice for choice in found if choice}
    return list(unique.values())[:MOST_CHOICES]


def made_up(values: Mapping[str, Array], loudness: tuple[float, ...], seed: int) -> list[Feeds]:
    """Requests of one row each: of whole numbers and texts those that the case has, of others any."""
    random = np.random.default_rng(seed)
    return [{name: _row(random, array, f) for name, array in values.items()} for f in loudness]


def _row(random: np.random.Generator, array: Array, factor: float) -> Array:
    shape = (1, *array.shape[1:])
    if array.dtype.kind == "f":
        return (random.standard_normal(shape) * factor).astype(array.dtype)
    found: Array = (
        random.choice(array.ravel(), shape) if array.size else np.empty(shape, array.dtype)
    )
    return found


def verdict(built: Any, values: Mapping[str, Array]) -> str:
    """What a proof is worth: "right", "not run", or "wrong"; "none" where there is none."""
    if analyse(built).obstacle:
        return "none"
    try:
        opened = session(built)
    except Exception:  # noqa: BLE001  # ONNX Runtime has no common class for its errors
        return "not run"
    found = []
    for seed, loudness in enumerate(LOUDNESS):
        rows = made_up(values, loudness, seed)
        lone = ran(opened, rows[0])
        if lone is None or lone[0].shape[:1] != (1,):
            return "not run"
        found.append(stays_apart(opened, rows))
    if False in found:
        return "wrong"
    return "right" if True in found else "not run"


@pytest.mark.toolchain
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_case_of_an_operator_is_proven_that_mixes_rows() -> None:
    """Of some thousands of choices of rows none is proven and wrong, and hundreds are proven."""
    counted: Counter[str] = Counter()
    wrong = []
    for case in load_cases((GENERATED,)):
        for built, values in with_rows(case):
            found = verdict(built, values)
            counted[found] += 1
            if found == "wrong":
                wrong.append((case.name, sorted(values)))
    assert [] == wrong
    assert counted["right"] > 500, counted
