"""`headrace evaluate` and its library of versions of scikit-learn, served by a real replica."""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

from headrace import errors
from headrace.client import AsyncClient
from headrace.lifecycle.evaluation import evaluate, report_files, store
from tests.rpc.registry_fixtures import running_registry
from tests.rpc.replica_fixtures import running_replica
from tests.rpc.test_cli_commands import Shell

IRIS = load_iris()
NAMES = [str(name) for name in IRIS.target_names]


def classifier(folder: Path, rows: int) -> tuple[LogisticRegression, Path]:
    """A classifier of iris that was trained on so many rows, and its export with a label file."""
    from skl2onnx import to_onnx

    order = np.random.default_rng(0).permutation(150)[:rows]
    features = IRIS.data.astype(np.float32)
    model = LogisticRegression(max_iter=300).fit(features[order], IRIS.target[order])
    options = {"zipmap": False, "output_class_labels": False}
    folder.mkdir()
    graph = to_onnx(model, features[:1], options=options)
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    return model, folder


def write_rows(path: Path, target: Sequence[object]) -> Path:
    """Iris as CSV; every tenth row has no target."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["a", "b", "c", "d", "kind", "half"])
        for place, (row, kind) in enumerate(zip(IRIS.data, target, strict=True)):
            rows.writerow([*row, "" if place % 10 == 0 else kind, place // 75])
    return path


@asynccontextmanager
async def serving(
    redis_url: str, namespace: str, tmp_path: Path
) -> AsyncIterator[tuple[AsyncClient, Shell]]:
    """A client and a command line of a registry with one replica."""
    async with (
        running_registry(redis_url, namespace, tmp_path / "registry") as registry,
        running_replica(
            redis_url, tmp_path / "replica", registry.address, namespace=namespace
        ) as replica,
        AsyncClient(registry=registry.address, inference=replica.fronts.grpc_address) as client,
    ):
        await client.create_model("iris", keep_latest=2)
        addresses = ("--registry", registry.address, "--inference", replica.fronts.grpc_address)
        yield client, Shell((*addresses, "--json"))


async def pushed(client: AsyncClient, artifact: Path) -> int:
    """Push a version, and wait until it answers; its number."""
    version = await client.push("iris", artifact)
    await client.wait_until_ready("iris", version.number)
    return version.number


async def test_a_served_version_is_measured_and_compared(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Figures are scikit-learn's of its own answers; they are stored, and rules decide the exit status."""
    good, first = classifier(tmp_path / "good", 150)
    (first / "labels.txt").write_text("\n".join(NAMES))
    _, second = classifier(tmp_path / "poor", 20)
    numbers = write_rows(tmp_path / "numbers.csv", IRIS.target)
    texts = write_rows(tmp_path / "texts.csv", [NAMES[kind] for kind in IRIS.target])
    known = np.arange(150) % 10 != 0
    features, truth = IRIS.data[known].astype(np.float32), IRIS.target[known]
    asked: dict[str, Any] = {"target": "kind", "slice_by": ["half"], "resamples": 100}
    async with serving(redis_url, namespace, tmp_path) as (client, shell):
        assert (1, 2) == (await pushed(client, first), await pushed(client, second))
        found = await evaluate(client, "iris/1", numbers, **asked)
        named = await evaluate(client, "iris/1", texts, output="probabilities", **asked)
        with pytest.raises(errors.InvalidArgument) as unnamed:
            await evaluate(client, "iris/2", texts, output="probabilities", **asked)
        with pytest.raises(errors.NotFound) as no_file:
            await client.version_file("iris", 2, "labels.txt")
        paths = await store(client, found, report_files(found))
        said = await client.annotations("iris", 1)
        page = await client.attachment("iris", 1, paths[0])
        options = ("--data", str(numbers), "--target", "kind", "--ignore", "half", "--no-store")
        rules = ("--no-worse-than", "1", "--metric", "brier", "--require", "accuracy > 0.5")
        compared = await shell("evaluate", "iris/2", *options, *rules)
    values = {each.name: each.value for each in found.metrics if not each.slice}
    assert accuracy_score(truth, good.predict(features)) == values["accuracy"]
    assert log_loss(truth, good.predict_proba(features)) == pytest.approx(
        values["log_loss"], rel=1e-4
    )
    assert ("multiclass", 135, 15) == (found.task, found.rows, found.checks.missing_targets)
    assert ("half=0", "half=1") == found.slices
    assert NAMES == list(named.classes)
    assert found.metric("recall.2").value == named.metric("recall.virginica").value  # type: ignore[union-attr]
    assert "does not know: its classes are '0', '1', '2'" in unnamed.value.message
    assert "FILE_NOT_FOUND" == no_file.value.reason
    stored = said.metric("accuracy", data_digest=found.data_digest)
    assert stored is not None
    assert values["accuracy"] == stored.value
    assert "evaluation/numbers.csv/report.html" == paths[0]
    assert b"<h2>Metrics</h2>" in page
    assert 1 == compared.status, compared.error
    told: dict[str, Any] = json.loads(compared.output)
    assert [True, False] == [rule["held"] for rule in told["rules"]]
    (difference,) = told["differences"]
    assert values["brier"] == pytest.approx(difference["other"])  # which was stored, not measured
    assert difference["lower"] is None
