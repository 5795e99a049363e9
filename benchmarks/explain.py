"""How far are attributions from exact Shapley values, and what do they cost?

    python -m benchmarks.explain [--rows N] [--served]

Of a linear model, a network and boosted trees with eight features: rows are drawn, all 256 coalitions of
each are asked, and every method is compared with the Shapley values of that enumeration. An error is the
mean amount over features and rows, as a share of the mean amount of the Shapley values; ranks are
Spearman's; largest is the share of rows whose largest feature is the same. With --served, a network of 64
features is explained through a suite: rows and requests that were asked, and how long it took.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import numpy as np

from headrace.lifecycle.explanation.agreement import rank_correlation
from headrace.lifecycle.explanation.asking import Asker
from headrace.lifecycle.explanation.attributions import Attribution
from headrace.lifecycle.explanation.features import features_of
from headrace.lifecycle.explanation.game import Game
from headrace.lifecycle.explanation.maskers import TensorMasker
from headrace.lifecycle.explanation.methods.integrated_gradients import integrated_gradients
from headrace.lifecycle.explanation.methods.kernel_shap import kernel_shap
from headrace.lifecycle.explanation.methods.occlusion import leave_one_in, occlusion
from headrace.lifecycle.explanation.methods.shapley import exact_shapley, sampled_shapley
from headrace.lifecycle.explanation.targets import Target
from headrace.lifecycle.predictors import SessionPredictor
from tests.unit.headrace.lifecycle.explanation.nets import network
from tests.unit.headrace.lifecycle.graphs import linear

FEATURES = 8
METHODS: dict[str, Callable[[Game], Awaitable[Attribution]]] = {
    "occlusion": occlusion,
    "leave-one-in": leave_one_in,
    "integrated gradients, 16 steps": integrated_gradients,
    "Shapley, 4 pairs of orders": partial(sampled_shapley, pairs=4),
    "Shapley, 16 pairs of orders": partial(sampled_shapley, pairs=16),
    "KernelSHAP, 64 coalitions": partial(kernel_shap, samples=64),
    "KernelSHAP, 254 coalitions": partial(kernel_shap, samples=254),
}


def trees(seed: int = 0) -> bytes:
    """Boosted trees on a function in which features work together."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.ensemble import GradientBoostingRegressor

    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(2000, FEATURES)).astype(np.float32)
    target = rows[:, 0] * rows[:, 1] + np.maximum(rows[:, 2], 0) + 0.5 * rows[:, 3]
    model = GradientBoostingRegressor(n_estimators=100, random_state=seed).fit(rows, target)
    types = [("x", FloatTensorType([None, FEATURES]))]
    graph: bytes = to_onnx(model, initial_types=types).SerializeToString()
    return graph


async def errors_of(graph: bytes, count: int) -> None:
    """Print a line for each method."""
    predictor = SessionPredictor(graph, rows_per_run=512)
    output = predictor.signature.outputs[0].name
    draw = np.random.default_rng(9)
    rows = draw.normal(size=(count, 1, FEATURES)).astype(np.float32)
    background = {"x": draw.normal(size=(8, FEATURES)).astype(np.float32)}

    def game(place: int) -> Game:
        row = {"x": rows[place]}
        masker = TensorMasker(row, background, features_of(row))
        return Game(masker, Asker(predictor, Target(output)))

    exact = np.array([(await exact_shapley(game(place))).values for place in range(count)])
    scale = np.abs(exact).mean()
    for name, method in METHODS.items():
        began = time.perf_counter()
        found = [await method(game(place)) for place in range(count)]
        seconds = (time.perf_counter() - began) / count
        values = np.array([each.values for each in found])
        ranks = [rank_correlation(one, two) or 0.0 for one, two in zip(values, exact, strict=True)]
        same = np.abs(values).argmax(axis=1) == np.abs(exact).argmax(axis=1)
        print(
            f"  {name:32} error {np.abs(values - exact).mean() / scale:8.2%}  ranks {np.mean(ranks):5.2f}  "
            f"largest {same.mean():5.0%}  {np.mean([each.rows for each in found]):7.0f} rows  "
            f"{seconds * 1e3:7.1f} ms"
        )


async def served() -> None:
    """Print what it takes to explain an answer of a suite's version."""
    from headrace.client import AsyncClient
    from tests.suite import running_suite

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        path.write_bytes(network(64, hidden=64))
        async with (
            running_suite(Path(folder)) as suite,
            AsyncClient(registry=suite.registry, inference=suite.inference) as client,
        ):
            await client.push("net", path)
            await client.wait_until_ready("net", 1)
            row = np.random.default_rng(0).normal(size=(1, 64)).astype(np.float32)
            for method in ("occlusion", "integrated-gradients", "shapley", "kernel-shap"):
                times = []
                for _ in range(5):
                    began = time.perf_counter()
                    found = await client.explain("net", {"x": row}, methods=[method])
                    times.append(time.perf_counter() - began)
                print(
                    f"  {method:22} {found.rows:6,} rows  {found.requests:5,} requests  "
                    f"{np.median(times) * 1e3:8.1f} ms"
                )


async def main() -> None:
    """Print all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50)
    parser.add_argument("--served", action="store_true", help="explain a suite's version, too")
    arguments = parser.parse_args()
    weights = np.random.default_rng(1).normal(size=(FEATURES, 1)).tolist()
    graphs = {"linear": linear(weights, [0.0]), "network": network(FEATURES), "trees": trees()}
    for name, graph in graphs.items():
        print(f"{name}: {FEATURES} features, background of 8 rows, {arguments.rows} rows")
        await errors_of(graph, arguments.rows)
    if arguments.served:
        print("served: a network of 64 features, one replica")
        await served()


if __name__ == "__main__":
    asyncio.run(main())
