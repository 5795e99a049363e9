"""What the console tells of annotations, gates and comparisons, and how it hands out files of strangers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from headrace.client import AsyncClient
from headrace.state.annotation_records import Lineage, Metric
from headrace.state.gate_records import GateComparison, GateRecord
from tests.rpc.console_scenes import API, Scene, console_scene
from tests.rpc.registry_fixtures import onnx_file

DATA = "d" * 64
HOSTILE = b"<script>document.title = 'ran'</script><h1>A report</h1>"
FILE = "/models/digits/versions/2/attachment?path="


@asynccontextmanager
async def _annotated(
    redis_url: str, namespace: str, folder: Path
) -> AsyncIterator[tuple[Scene, AsyncClient]]:
    """Two versions, of which the newer has much said of it, and a gate that it does not pass."""
    (folder / "one.onnx").write_bytes(onnx_file(1.0))
    (folder / "two.onnx").write_bytes(onnx_file(2.0))
    async with (
        console_scene(redis_url, namespace, folder) as scene,
        AsyncClient(registry=scene.registry.address, actor="ada") as client,
    ):
        await client.push("digits", folder / "one.onnx", metrics=[_accuracy(0.97)])
        await client.push(
            "digits",
            folder / "two.onnx",
            tags={"team": "vision"},
            metrics=[_accuracy(0.9, lower=0.88, upper=0.92), Metric("accuracy", 0.7, "region=eu")],
            lineage=Lineage(1, "retrain", "headrace retrain weekly.yaml"),
        )
        gate = GateRecord(("accuracy >= 0.95",), (GateComparison("accuracy", "", 0.01),))
        await client.update_model("digits", gate=gate)
        await scene.until("/models", lambda found: found["total"] == 1)
        await scene.until("/models/digits/annotations", lambda found: found["gate"] is not None)
        yield scene, client


def _accuracy(value: float, lower: float | None = None, upper: float | None = None) -> Metric:
    return Metric("accuracy", value, "", DATA, "test.csv", lower, upper, 0.95 if lower else 0.0, 40)


async def _file(scene: Scene, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    sent = scene.monitor.http.get(f"{API}{FILE}{path}", headers=headers)
    async with sent as response:
        return response.status, dict(response.headers), await response.read()


async def test_what_is_said_of_versions(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Annotations with the gate's verdicts, a comparison, and a search with columns for its metrics."""
    async with _annotated(redis_url, namespace, tmp_path) as (scene, _):
        told = await scene.get("/models/digits/annotations")
        one = await scene.get("/models/digits/annotations?version=2")
        compared = await scene.get("/models/digits/compare?first=1&second=2")
        found = await scene.get(
            "/versions?filter=metrics.accuracy+%3E+0.8&order_by=metrics.accuracy"
        )
        pages = [await scene.get("/versions?size=1")]
        pages.append(await scene.get(f"/versions?size=1&page={pages[0]['next']}"))
        wrong = await scene.monitor.get(f"{API}/versions?filter=metrics.accuracy+%3E")
        refused = [
            await scene.refused(f"/models/digits/{path}")
            for path in ("compare?first=1", "compare?first=1&second=9", "annotations?version=x")
        ]
        refused.append(await scene.refused("/models/absent/annotations"))
    newest, oldest = told["versions"]
    assert (["accuracy >= 0.95"], ["accuracy:0.01"]) == (
        told["gate"]["require"],
        told["gate"]["no_worse_than"],
    )
    assert (2, {"team": "vision"}, "retrain", 1) == (
        newest["number"],
        newest["tags"],
        newest["lineage"]["method"],
        newest["lineage"]["parent_version"],
    )
    assert (False, [False, False], True) == (
        newest["verdict"]["passed"],
        [each["held"] for each in newest["verdict"]["results"]],
        oldest["verdict"]["passed"],
    )
    assert "worse by 0.07" in newest["verdict"]["results"][1]["why"]
    assert newest == one["versions"][0]
    changes = {each["slice"]: each["change"] for each in compared["metrics"]}
    assert (round(changes[""], 6), None) == (-0.07, changes["region=eu"])
    assert [{"what": "team", "first": "", "second": "vision"}] == compared["tags"]
    assert ["x", "x"] == [each["inputs"][0]["name"] for each in compared["signatures"]]
    assert (["accuracy"], [0.9, 0.97]) == (
        found["metrics"],
        [each["metrics"][0]["value"] for each in found["versions"]],
    )
    assert ([2], [1], "") == (
        *([each["number"] for each in page["versions"]] for page in pages),
        pages[1]["next"],
    )
    document = json.loads(wrong[1])
    assert (400, "FILTER_INVALID", True) == (
        wrong[0],
        document["reason"],
        document["facts"]["column"].isdigit(),
    )
    assert [
        (400, "INVALID_QUERY"),
        (404, "VERSION_NOT_FOUND"),
        (400, "INVALID_QUERY"),
        (404, "MODEL_NOT_FOUND"),
    ] == refused


async def test_files_of_strangers_do_nothing_here(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """What is shown is in a sandbox without scripts; all but a few kinds is saved; names stay names."""
    kinds = {
        "report.html": "text/html",
        "plot.png": "image/png",
        "card.md": "text/markdown",
        "report.json": "application/json",
        "plot.svg": "image/svg+xml",
        "run.js": "text/javascript",
        "page.xhtml": "application/xhtml+xml",
        "empty.bin": "application/octet-stream",
    }
    async with _annotated(redis_url, namespace, tmp_path) as (scene, client):
        for path, media_type in kinds.items():
            data = b"" if path.startswith("empty") else HOSTILE
            await client.attach("digits", 2, f"evaluation/{path}", data, media_type=media_type)
        large = bytes(range(256)) * 12_000
        await client.attach("digits", 2, "large.bin", large)
        answers = {path: await _file(scene, f"evaluation/{path}") for path in kinds}
        saved = await _file(scene, "evaluation/report.html&save=true")
        whole = await _file(scene, "large.bin")
        etag = f'"{hashlib.sha256(HOSTILE).hexdigest()}"'
        same = await _file(scene, "evaluation/report.html", **{"If-None-Match": etag})
        absent = await _file(scene, "evaluation/absent.html")
        elsewhere = await _file(scene, "../../etc/passwd")
        odd = await scene.refused("/models/digits/versions/x/attachment?path=card.md")
    for path, (status, headers, body) in answers.items():
        assert (200, b"" if path.startswith("empty") else HOSTILE) == (status, body)
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("sandbox; default-src 'none'; img-src data:;")
        assert "allow-" not in policy
        assert ("nosniff", "same-origin") == (
            headers["X-Content-Type-Options"],
            headers["Cross-Origin-Resource-Policy"],
        )
    types = {path: headers["Content-Type"] for path, (_, headers, _) in answers.items()}
    octets = "application/octet-stream"
    assert {
        "report.html": "text/html; charset=utf-8",
        "plot.png": "image/png",
        "card.md": "text/plain; charset=utf-8",
        "report.json": "application/json",
        **dict.fromkeys(("plot.svg", "run.js", "page.xhtml", "empty.bin"), octets),
    } == types
    for path, (_, headers, _) in answers.items():
        how = "attachment" if types[path] == octets else "inline"
        assert (
            f"{how}; filename=\"{path}\"; filename*=UTF-8''{path}" == headers["Content-Disposition"]
        )
    assert (octets, True) == (
        saved[1]["Content-Type"],
        saved[1]["Content-Disposition"].startswith("attachment"),
    )
    assert (large, 304, b"") == (whole[2], same[0], same[2])
    assert (404, 404) == (absent[0], elsewhere[0])
    assert (400, "INVALID_QUERY") == odd


async def test_a_gate_is_passed_by_who_insists(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A route and an alias are refused with the rules that do not hold, until somebody insists."""
    async with _annotated(redis_url, namespace, tmp_path) as (scene, _):
        route = {"stable": 2, "reason": "it is time"}
        alias = {"alias": "prod", "version": 2, "reason": "it is time"}
        insists = {"allow_gate_failure": True}
        refused = [
            await scene.post("/models/digits/route", route),
            await scene.post("/models/digits/alias", alias),
        ]
        moved = await scene.post("/models/digits/route", route | insists)
        named = await scene.post("/models/digits/alias", alias | insists)
        audit = await scene.get("/models/digits/audit?kind=gate.override")
    assert [(400, "GATE_NOT_PASSED")] * 2 == [(each[0], each[1]["reason"]) for each in refused]
    assert "accuracy >= 0.95: accuracy is 0.9" in refused[0][1]["error"]
    assert (200, 2, 200, 2) == (
        moved[0],
        moved[1]["route"]["stable"],
        named[0],
        named[1]["alias"]["version"],
    )
    assert [True, True] == ["gate.override" in json.dumps(each) for each in audit["changes"]]
