"""What tests of preparing are made of: an opener with its processes, and graphs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from headrace.datatypes import Datatype
from headrace.state.records import Batching, Provider, ServingConfig, VersionRecord
from headrace_inference.adapters.preparation.cached_opener import (
    Preparation,
    PreparingOpener,
)
from headrace_inference.adapters.preparation.sandbox_pool import (
    PreparingProcesses,
    open_preparing_processes,
)
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.load_limit import LoadBounds
from tests.unit.inference.runtime.models import Tensor, node, record_of, save

GIGABYTE = 1 << 30
BATCHED = ServingConfig(provider=Provider.CPU, batching=Batching(max_batch_size=4))
SINGLE = ServingConfig(provider=Provider.CPU)


@contextmanager
def preparing(
    folder: Path,
    bounds: LoadBounds | None = None,
    max_bytes: int = GIGABYTE,
    tuning_seconds: float = 0.0,
    idle_seconds: float = 60.0,
) -> Iterator[tuple[PreparingOpener, PreparingProcesses]]:
    """An opener with a cache below a folder, and its processes."""
    defaults = RuntimeDefaults(cores=2, load_bounds=bounds or LoadBounds(60))
    with open_preparing_processes(idle_seconds) as processes:
        preparation = Preparation(folder / "prepared", max_bytes, tuning_seconds)
        yield PreparingOpener(preparation, processes, defaults), processes


def layered(folder: Path, seed: int = 1) -> tuple[Path, VersionRecord]:
    """A graph that ONNX Runtime fuses, folds and packs: convolution, normalisation, matrices."""
    random = np.random.default_rng(seed)

    def weight(*shape: int) -> Any:
        return random.normal(size=shape).astype(np.float32)

    nodes = [
        node("Conv", ["x", "k", "kb"], ["c"], pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"]),
        node("Add", ["one", "one"], ["two"]),
        node("Mul", ["r", "two"], ["d"]),
        node("Flatten", ["d"], ["f"]),
        node("MatMul", ["f", "w"], ["m"]),
        node("Add", ["m", "b"], ["y"]),
    ]
    weights = [
        ("k", weight(8, 3, 3, 3)),
        ("kb", weight(8)),
        ("one", np.ones(1, np.float32)),
        ("w", weight(8 * 64, 32)),
        ("b", weight(32)),
    ]
    folder.mkdir(exist_ok=True)
    given = Tensor("x", Datatype.FP32, ["n", 3, 8, 8])
    path = save(
        folder / "model.onnx", nodes, [given], [Tensor("y", Datatype.FP32, ["n", 32])], weights
    )
    return path, replace(record_of(path, BATCHED), digest=f"digest-{folder.name}")


def images(rows: int = 3) -> Any:
    """Inputs for the layered graph."""
    return np.random.default_rng(9).normal(size=(rows, 3, 8, 8)).astype(np.float32)


def entry(folder: Path) -> Path:
    """The only entry there."""
    (place,) = (folder / "prepared").glob("[!.]*/*")
    return place
