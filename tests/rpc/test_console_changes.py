"""What the console changes and tries, made by a real registry and a real replica."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.rpc.console_scenes import API, Scene, console_scene
from tests.rpc.registry_fixtures import onnx_file, push

TENSOR = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1.0, 2.0, 3.0, 4.0]}
REQUEST = {"inputs": [TENSOR]}

WRONG: tuple[tuple[str, Any], ...] = (
    ("route", {"reason": "why"}),
    ("route", {"stable": 1}),
    ("route", {"stable": 1, "reason": " "}),
    ("route", {"stable": 1, "reason": "one\ntwo"}),
    ("route", {"stable": 1, "reason": "x" * 501}),
    ("route", {"stable": 0, "reason": "why"}),
    ("route", {"stable": 2**64, "reason": "why"}),
    ("route", {"stable": "1", "reason": "why"}),
    ("route", {"stable": 1, "reason": "why", "canary": 2}),
    ("route", {"stable": 1, "reason": "why", "canaries": [{"version": 2}]}),
    ("rollback", {}),
    ("rollback", []),
    ("alias", {"alias": "prod", "reason": "why"}),
    ("infer", {"version": 1}),
    ("infer", {"request": REQUEST, "versions": 1}),
    ("chat", {"request": []}),
)
"""Changes that are refused as CHANGE_INVALID."""


async def _pushed(scene: Scene, state: str) -> None:
    """Push two versions, and wait until the console shows both in a state."""
    for bias in (1.0, 2.0):
        await push(scene.registry, onnx_file(bias))
    await scene.until(
        "/models/digits",
        lambda found: [state] * 2 == [version["state"] for version in found["versions"]],
    )


async def test_routes_and_aliases_move_with_a_reason(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The registry notes who and why; another etag is a conflict; a step back is one, too."""
    async with console_scene(redis_url, namespace, tmp_path) as scene:
        await _pushed(scene, "NOT_LOADED")
        etag = (await scene.get("/models/digits"))["route"]["etag"]
        rules = [{"rule": "header:x-beta=1", "version": 2}]
        wanted = {
            "stable": 1,
            "canaries": [{"version": 2, "weight_percent": 25}],
            "sticky_key": "header:x-user",
            "rules": rules,
            "etag": etag,
            "reason": "a trial: 25 %",
        }
        actor = {"x-headrace-actor": "ada"}
        status, moved = await scene.post("/models/digits/route", wanted, **actor)
        conflict = await scene.post("/models/digits/route", wanted)
        _, second = await scene.post("/models/digits/route", {"stable": 2, "reason": "good"})
        back = await scene.post("/models/digits/rollback", {"reason": "not so good"})
        foreign = await scene.post("/models/digits/route", wanted, Origin="https://evil.example")
        made = await scene.post("/models/digits/alias", _alias(1))
        kept = await scene.post("/models/digits/alias", _alias(2) | {"etag": "1"})
        gone = await scene.post("/models/digits/alias", _alias(None))
        absent = await scene.post("/models/absent/rollback", {"reason": "why"})
        odd = await scene.post("/models/digits/route", wanted | {"sticky_key": "cookie:a"})
        audit = await scene.get("/models/digits/audit?size=5")
        older = await scene.get(f"/models/digits/audit?size=5&page={audit['next']}")
        whole = await scene.get("/audit?kind=route")
    assert (200, {"1": 75.0, "2": 25.0}) == (status, moved["route"]["weights"])
    assert ("header:x-user", rules) == (moved["route"]["sticky_key"], moved["route"]["rules"])
    assert (409, "ETAG_MISMATCH") == (conflict[0], conflict[1]["reason"])
    assert (2, {"2": 100.0}) == (second["route"]["stable"], second["route"]["weights"])
    assert (200, 1) == (back[0], back[1]["route"]["stable"])
    assert (403, "PAGE_FOREIGN") == (foreign[0], foreign[1]["reason"])
    assert (200, "prod", 1) == (made[0], made[1]["alias"]["name"], made[1]["alias"]["version"])
    assert (409, "ETAG_MISMATCH") == (kept[0], kept[1]["reason"])
    assert (200, {"alias": None}) == gone
    assert (404, "MODEL_NOT_FOUND") == (absent[0], absent[1]["reason"])
    assert (400, "KEY_MALFORMED") == (odd[0], odd[1]["reason"])
    assert [
        ("alias.delete", "console", "because"),
        ("alias.update", "console", "because"),
        ("route.update", "console", "not so good"),
        ("route.update", "console", "good"),
        ("route.update", "ada", "a trial: 25 %"),
    ] == [(change["kind"], change["actor"], change["reason"]) for change in audit["changes"]]
    assert ["version.push"] * 2 == [change["kind"] for change in older["changes"]][:2]
    assert ["route.update"] * 3 == [change["kind"] for change in whole["changes"]]


def _alias(version: int | None) -> dict[str, object]:
    return {"alias": "prod", "version": version, "reason": "because"}


async def _route_by_header(scene: Scene) -> None:
    """Send requests with a header to the second version, and wait until all know it."""
    rules = [{"rule": "header:x-beta=1", "version": 2}]
    await scene.post("/models/digits/route", {"stable": 1, "rules": rules, "reason": "beta"})
    revision = (await scene.get("/models/digits/audit?size=1"))["changes"][0]["revision"]
    await scene.until(
        "/replicas",
        lambda found: (
            found["catalog"]["revision"] >= revision
            and found["replicas"][0]["applied_revision"] >= revision
        ),
    )


async def test_a_request_is_tried_and_shows_its_version_and_route(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """By the route, by number and by alias; a replica's refusal is told as it is."""
    async with console_scene(redis_url, namespace, tmp_path, replica=True) as scene:
        await _pushed(scene, "READY")
        await scene.post("/models/digits/alias", _alias(2))
        await scene.until("/models/digits", lambda found: "prod" in found["aliases"])
        by_route = await scene.post("/models/digits/infer", {"request": REQUEST})
        by_number = await scene.post("/models/digits/infer", {"request": REQUEST, "version": 2})
        by_alias = await scene.post("/models/digits/infer", {"request": REQUEST, "version": "prod"})
        odd = {"inputs": [TENSOR | {"shape": [2, 3]}]}
        refused = await scene.post("/models/digits/infer", {"request": odd})
        absent = await scene.post("/models/digits/infer", {"request": REQUEST, "version": 9})
        no_alias = await scene.post("/models/digits/infer", {"request": REQUEST, "version": "x/y"})
        nobody = await scene.post("/models/absent/infer", {"request": REQUEST})
        chat = await scene.post("/models/digits/chat", {"request": {"prompt": "Hello"}})
        large = {"inputs": [TENSOR | {"shape": [20_000, 4], "data": [0.5] * 80_000}]}
        many = await scene.post("/models/digits/infer", {"request": large})
        wrong = {
            path + str(document): await scene.post(f"/models/digits/{path}", document)
            for path, document in WRONG
        }
        await _route_by_header(scene)
        beta = {"request": REQUEST, "headers": {"X-Beta": "1"}}
        by_header = await scene.post("/models/digits/infer", beta)
        odd_header = {"request": REQUEST, "headers": {"x-forwarded-client-cert": "Subject=root"}}
        kept_back = await scene.post("/models/digits/infer", odd_header)
        calls = await scene.get("/models/digits/calls?version=2")
        example = {"request": calls["example"], "version": 2}
        as_written = await scene.post("/models/digits/infer", example)
        curl = calls["calls"][0]["code"]
        run = await asyncio.create_subprocess_shell(curl, stdout=asyncio.subprocess.PIPE)
        printed, _ = await run.communicate()
        plain = await scene.monitor.http.post(f"{API}/models/digits/infer", data=b"{}")
    status, told = by_route
    assert (200, "1", "stable") == (status, told["version"], told["route"])
    assert [2.0, 3.0, 4.0, 5.0] == told["response"]["outputs"][0]["data"]
    assert told["milliseconds"] > 0
    assert ("2", "2") == (by_number[1]["version"], by_alias[1]["version"])
    assert ("2", "matched") == (by_header[1]["version"], by_header[1]["route"])
    assert (400, "CHANGE_INVALID") == (kept_back[0], kept_back[1]["reason"])
    assert (400, "SHAPE_MISMATCH") == (refused[0], refused[1]["reason"])
    assert (503, "VERSION_NOT_READY") == (absent[0], absent[1]["reason"])
    assert (404, "ALIAS_NOT_FOUND") == (no_alias[0], no_alias[1]["reason"])
    assert (404, "MODEL_NOT_FOUND") == (nobody[0], nobody[1]["reason"])
    assert chat[0] in (400, 404)
    assert (200, 80_000) == (many[0], len(many[1]["response"]["outputs"][0]["data"]))
    assert {(400, "CHANGE_INVALID")} == {(code, each["reason"]) for code, each in wrong.values()}
    assert 400 == plain.status
    assert ["curl", "Python", "JavaScript", "grpcurl", "tritonclient"] == [
        call["title"] for call in calls["calls"]
    ]
    assert as_written[1]["response"]["outputs"] == json.loads(printed)["outputs"]
