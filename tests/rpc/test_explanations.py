"""Explanations through a real registry and a real replica: by the client, and by commands."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headrace import errors
from headrace.client import AsyncClient
from headrace.lifecycle.explanation import Effort, PlannedCost
from tests.rpc.registry_fixtures import eventually, push, running_registry
from tests.rpc.replica_fixtures import running_replica
from tests.rpc.test_cli_access import Commands, Ended
from tests.unit.headrace.lifecycle.explanation.nets import patch_detector, steps
from tests.unit.headrace.lifecycle.graphs import linear

SIDE = 12
NAMES = ("age", "income", "debt")
ROWS = np.random.default_rng(3).random((200, 3)).round(2)


class Scene:
    """A client, and commands, of a suite that serves some models."""

    def __init__(self, client: AsyncClient, commands: Commands, inference: str) -> None:
        self.client = client
        self._commands = commands
        self._inference = inference

    async def __call__(self, *arguments: str) -> Ended:
        """A command's end."""
        return await self._commands("--inference", self._inference, "explain", *arguments)


@asynccontextmanager
async def scene(
    redis_url: str, namespace: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    """Three models: credit (linear), eye (an image), and stairs (constant in pieces)."""
    models = {
        "credit": linear([[2.0], [1.0], [-3.0]], [0.0]),
        "eye": patch_detector(["rows", 1, SIDE, SIDE], 6, 2, 3),
        "stairs": steps(3),
    }
    async with (
        running_registry(redis_url, namespace, folder / "registry") as registry,
        running_replica(
            redis_url, folder / "replica", registry.address, namespace=namespace
        ) as replica,
        AsyncClient(registry=registry.address, inference=replica.fronts.grpc_address) as client,
    ):
        for name, graph in models.items():
            await push(registry, graph, model=name)
        await eventually(lambda: len(replica.reconciler.table.ready) == len(models))
        yield Scene(client, Commands(registry, monkeypatch), replica.fronts.grpc_address)


def table(path: Path) -> Path:
    """Rows under their names, with a target."""
    lines = [",".join((*NAMES, "paid")), *(",".join(map(str, (*row, 1))) for row in ROWS.tolist())]
    path.write_text("\n".join(lines))
    return path


async def test_explanations_are_asked_of_served_versions(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the wire they are as right as without it, and files are what they say that they are."""
    monkeypatch.chdir(tmp_path)
    async with scene(redis_url, namespace, tmp_path, monkeypatch) as run:
        await _by_the_client(run.client)
        await _against_the_reference(run.client)
        await _by_commands(run, tmp_path)
        await _of_an_image(run, tmp_path)
        await _wrong_arguments(run, tmp_path)


async def _by_the_client(client: AsyncClient) -> None:
    costs: list[PlannedCost] = []
    found = await client.explain(
        "credit",
        [[1.0, 2.0, 3.0]],
        methods=["occlusion", "integrated-gradients", "shapley"],
        on_cost=costs.append,
        sample={"x": ROWS},
    )
    expected = [2 * (1 - ROWS[:, 0].mean()), 2 - ROWS[:, 1].mean(), -3 * (3 - ROWS[:, 2].mean())]
    for each in found.attributions:
        np.testing.assert_allclose(each.values, expected, atol=2e-3)
    assert ("credit", 1) == (found.model, found.version)
    assert found.rows <= costs[0].rows + 3
    assert found.requests < found.rows, "rows share requests"
    with pytest.raises(errors.InvalidArgument, match="there are y"):
        await client.explain("credit", [[1.0, 2.0, 3.0]], output="z")
    with pytest.raises(errors.InvalidArgument, match="no input 'photo'; it has x"):
        await client.explain("credit", [[1.0, 2.0, 3.0]], image="photo")


async def _against_the_reference(client: AsyncClient) -> None:
    """By default, where there is one; what it enforces may refuse other baselines."""
    await client.set_reference("credit", 1, {"x": ROWS + 1})
    fields = (await client.reference("credit", 1)).fields
    medians = [float(each.typical or 0) for each in fields if each.name.startswith("input x")]
    np.testing.assert_allclose(medians, np.median(ROWS + 1, axis=0), atol=0.05)
    found = await client.explain("credit", [[1.5, 1.5, 1.5]])
    assert "reference" == found.baseline
    await client.enforce("credit", 1, {"input x[0]": "reject"})
    await _refused_at_zero(client)
    await client.delete_reference("credit", 1)


async def _refused_at_zero(client: AsyncClient) -> None:
    refused: list[str] = []

    async def asked() -> bool:
        try:
            await client.explain("credit", [[1.5, 1.5, 1.5]], baseline="zeros")
        except errors.FailedPrecondition as error:
            refused.append(error.reason)
        return bool(refused)

    while not await asked():  # until the replica has heard of it
        pass
    assert ["MASKED_ROWS_REFUSED"] == refused


async def _by_commands(run: Scene, folder: Path) -> None:
    path = table(folder / "rows.csv")
    asked = ("credit", "--data", str(path), "--ignore", "paid", "--row", "7")
    ended = await run(*asked, "--json", "--method", "shapley", "--baseline", "mean")
    document = json.loads(ended.output)
    assert list(NAMES) == [each["name"] for each in document["features"]]
    here, means = ROWS[6], ROWS.mean(axis=0)
    expected = (here - means) * [2, 1, -3]
    np.testing.assert_allclose(document["methods"]["shapley"]["values"], expected, atol=1e-3)
    shown = await run(*asked, "--report", "why.html", "--png", "why.png", "--store")
    assert 0 == shown.status, shown.error
    assert "asks at most" in shown.error
    assert "income" in shown.output
    assert "<table>" in (folder / "why.html").read_text()
    assert (folder / "why.png").read_bytes().startswith(b"\x89PNG")
    kept = await run.client.attachment("credit", 1, "explanation/row.html")
    assert (folder / "why.html").read_bytes() == kept
    whole = await run(
        *(
            "credit",
            "--global",
            "--data",
            str(path),
            "--target",
            "paid",
            "--limit",
            "40",
            "--store",
        ),
        *("--json", "--report", "global.html"),
    )
    told = json.loads(whole.output)
    assert "debt" == told["features"][0]["name"]
    assert 40 == told["explained_rows"]
    kept = await run.client.attachment("credit", 1, "explanation/global.html")
    assert (folder / "global.html").read_bytes() == kept
    flat = await run("stairs", "[1, 1, 0.2]", "--method", "integrated-gradients")
    assert "constant in pieces" in flat.output


async def _of_an_image(run: Scene, folder: Path) -> None:
    """The map is brightest where the model looks."""
    pixels = np.full((SIDE, SIDE), 30, np.uint8)
    pixels[6:9, 2:5] = 250
    Image.fromarray(pixels).save(folder / "photo.png")
    ended = await run(
        *("eye", "--image", "photo.png", "--png", "map.png", "--json", "--method", "occlusion")
    )
    document: Any = json.loads(ended.output)
    values = np.array(document["methods"]["occlusion"]["values"]).reshape(SIDE, SIDE)
    top, left = np.unravel_index(values.argmax(), values.shape)
    assert 6 <= top < 9
    assert 2 <= left < 5
    drawn = Image.open(io.BytesIO((folder / "map.png").read_bytes()))
    drawn.load()
    assert drawn.width > drawn.height > 100


async def _wrong_arguments(run: Scene, folder: Path) -> None:
    wrong = {
        ("credit", "[1, 2, 3]", "--baseline", "nowhere.csv"): "--baseline is zeros, mean",
        ("credit", "--data", "rows.csv", "--row", "900", "--ignore", "paid"): "no row 900",
        ("credit", "--data", "rows.csv", "--ignore", "paid", "--max-rows", "3"): "may ask 3",
        ("credit", "--data", "rows.csv", "--ignore", "sex"): "has the columns age",
        ("credit", "--global"): "takes the rows of --data",
        ("credit", "--text", "hello"): "one input of texts",
        ("credit", "[1, 2, 3]", "--class", "cat"): "no class 'cat'",
        ("credit", "[1, 2, 3]", "--log-odds"): "no probability",
    }
    for arguments, expected in wrong.items():
        ended = await run(*arguments)
        assert 0 != ended.status
        assert expected in " ".join(ended.error.split())
    with pytest.raises(errors.InvalidArgument, match="may ask 3"):
        await run.client.explain("credit", [[1.0, 2.0, 3.0]], effort=Effort(max_rows=3))
