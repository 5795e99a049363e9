"""What the console is told of models, versions and replicas, of a real registry, replica and monitor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headrace.client import AsyncClient
from headrace.registry.v1 import registry_service_pb2 as pb
from tests.rpc.console_scenes import API, Scene, console_scene
from tests.rpc.monitors import report, running_monitor, telemetry
from tests.rpc.registry_fixtures import onnx_file, push


async def called(scene: Scene) -> Any:
    """Push three versions, let two share the requests, call them; the model once all of it is told."""
    for bias in (1.0, 2.0, 3.0):
        await push(scene.registry, onnx_file(bias))
    await scene.until("/models/digits", lambda found: found["versions"][0]["state"] == "READY")
    replicas = await scene.get("/replicas")
    async with AsyncClient(
        registry=scene.registry.address, inference=replicas["replicas"][0]["grpc"], actor="ada"
    ) as client:
        await client.because("a trial").set_route("digits", 1, 3, 50.0, allow_unready=True)
        await client.alias("digits", "prod", 1)
        for _ in range(20):
            await client.infer("digits", {"x": [[1.0, 2.0, 3.0, 4.0]]}, timeout_seconds=20)
    return await scene.until(
        "/models/digits", lambda found: _answered(found) == 20 and found["aliases"]
    )


def _answered(found: Any) -> int:
    return sum(version["statistics"]["success_count"] for version in found["versions"])


async def test_a_model_is_told_with_its_versions_their_states_and_what_they_do(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Versions side by side, the one that was never called too; lists, series and replicas say the same."""
    async with console_scene(redis_url, namespace, tmp_path, replica=True) as scene:
        model = await called(scene)
        listed = await scene.get("/models?search=DIG")
        series = await scene.get("/models/digits/series?window=120&step=10")
        rates = await scene.get("/rates?models=digits,other")
        replicas = await scene.get("/replicas")
        overview = await scene.get("/overview")
        _, text = await scene.monitor.get(f"{API}/models/digits")
        _, metrics = await scene.monitor.get("/metrics")
        async with scene.monitor.http.get(f"{API}/models?search=other") as response:
            etag = response.headers["ETag"]
        unchanged = await scene.monitor.http.get(
            f"{API}/models?search=other", headers={"If-None-Match": etag}
        )
    third, second, first = model["versions"]
    assert ["digits", 3, "tensors"] == [model[key] for key in ("name", "last_version", "kind")]
    assert ("READY", "NOT_LOADED", "READY") == (third["state"], second["state"], first["state"])
    assert (["canary", "latest"], [], ["stable"]) == (
        third["roles"],
        second["roles"],
        first["roles"],
    )
    assert {"1": 50.0, "3": 50.0} == model["route"]["weights"]
    assert (1, ["prod"]) == (model["aliases"]["prod"]["version"], first["aliases"])
    tensor = {"name": "x", "datatype": "FP32", "shape": [-1, 4], "dims": ["batch", ""]}
    assert [tensor | {"optional": False}] == third["signature"]["inputs"]
    assert third["statistics"]["p99_ms"] > 0
    (row,) = listed["models"]
    assert (1, 1) == (listed["total"], listed["pages"])
    assert [True, False, True] == [version["called"] for version in row["versions"]]
    assert row["requests_per_second"] > 0
    assert 20 == sum(sum(version["success_count"]) for version in series["versions"])
    assert 20 == sum(sum(map(sum, version["heat"]["counts"])) for version in series["versions"])
    assert ["digits"] == [*rates["models"]]
    assert rates["models"]["digits"][-1] > 0
    assert {1, 3} <= {version["version"] for version in series["versions"]}
    assert ("route.update", "ada", "a trial") == next(
        (change["kind"], change["actor"], change["reason"])
        for change in series["changes"]
        if change["kind"].startswith("route")
    )
    assert [{"1": 100.0}, {"1": 50.0, "3": 50.0}] == [each["weights"] for each in series["weights"]]
    (replica,) = replicas["replicas"]
    assert ("READY", ["cpu"]) == (replica["stage"], replica["devices"])
    assert {1, 3} <= {each["version"] for each in replica["versions"]}
    assert (1, 2, 1) == (
        overview["models"],
        overview["versions"]["READY"],
        overview["versions"]["NOT_LOADED"],
    )
    assert json.loads(text)["catalog"]["connected"]
    assert "headrace_monitor_catalog_followed 1.0" in metrics
    assert (304, b"") == (unchanged.status, await unchanged.read())


async def test_models_are_searched_sorted_and_paged(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """By name, label and description, whatever the case; a page beyond the end is empty."""
    async with console_scene(redis_url, namespace, tmp_path) as scene:
        for number in range(30):
            labels = {"team": "vision" if number % 2 else "text"}
            model = {
                "name": f"models/m{number:02}",
                "labels": labels,
                "description": f"No {number}",
            }
            await scene.registry.stub.CreateModel(pb.CreateModelRequest(model=model))
        first = await scene.until("/models?size=12", lambda found: found["total"] == 30)
        last = await scene.get("/models?size=12&page=3")
        beyond = await scene.get("/models?size=12&page=4")
        labelled = await scene.get("/models?search=TEAM%3Dvision")
        newest = await scene.get("/models?sort=-created&size=1")
        described = await scene.get("/models?search=no%2017")
    assert ([f"m{number:02}" for number in range(12)], 3) == (
        [model["name"] for model in first["models"]],
        first["pages"],
    )
    assert (6, []) == (len(last["models"]), beyond["models"])
    assert (15, "m29") == (labelled["total"], newest["models"][0]["name"])
    assert ["m17"] == [model["name"] for model in described["models"]]
    assert [None, []] == [described["models"][0][key] for key in ("route", "versions")]


REFUSED = {
    "/models?page=0": (400, "INVALID_QUERY"),
    "/models?page=x": (400, "INVALID_QUERY"),
    "/models?size=201": (400, "INVALID_QUERY"),
    "/models?size=-1": (400, "INVALID_QUERY"),
    "/models?sort=size": (400, "INVALID_QUERY"),
    f"/models?search={'x' * 300}": (400, "INVALID_QUERY"),
    "/models/absent": (404, "MODEL_NOT_FOUND"),
    "/models/absent/series?window=0": (400, "INVALID_QUERY"),
    "/models/absent/series?window=3600&step=1": (400, "INVALID_QUERY"),
    "/models/absent/series?window=999999999": (400, "INVALID_QUERY"),
    "/models/absent/series?end=nan": (400, "INVALID_QUERY"),
    "/models/absent/series?version=1.5": (400, "INVALID_QUERY"),
    "/absent": (404, "NOT_FOUND"),
}


async def test_what_cannot_be_answered_says_why(tmp_path: Path) -> None:
    """Also while there is no registry."""
    told = {}
    async with running_monitor(tmp_path, registry_address="127.0.0.1:1") as monitor:
        for path in REFUSED:
            status, text = await monitor.get(f"{API}{path}")
            told[path] = (status, json.loads(text)["reason"])
    assert told == REFUSED


async def test_without_a_registry_what_is_called_is_shown(tmp_path: Path) -> None:
    """The monitor alone knows the models that reports are of, and says that the catalog is not known."""
    async with running_monitor(tmp_path, registry_address="127.0.0.1:1") as monitor:
        await monitor.send([report("r1", 1, telemetry([1_000_000] * 6))])
        _, text = await monitor.get(f"{API}/models")
        _, detail = await monitor.get(f"{API}/models/digits")
    found = json.loads(text)
    assert (False, False) == (found["catalog"]["known"], found["catalog"]["connected"])
    assert ["digits"] == [model["name"] for model in found["models"]]
    assert 6 == json.loads(detail)["versions"][0]["statistics"]["success_count"]
