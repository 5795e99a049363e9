"""The console's JSON where callers have to be somebody: what each sees and may do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.rpc.registry_fixtures import onnx_file
from tests.security.watched_monitors import Scene, until, watched

PAGE = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}


async def asked(scene: Scene, path: str, key: str = "", **more: Any) -> tuple[int, Any]:
    """The status and the JSON of an answer."""
    status, text, _ = await scene.ask(f"/api/v1{path}", key, **more)
    return status, json.loads(text)


async def total(scene: Scene, key: str) -> int:
    """Count the models that a list tells of."""
    return int((await asked(scene, "/models", key))[1]["total"])


async def moved(scene: Scene, key: str, model: str = "digits", **headers: str) -> tuple[int, str]:
    """Move a route; the status, and the reason of a refusal."""
    body = json.dumps({"stable": 1, "reason": "because"}).encode()
    status, found = await asked(
        scene, f"/models/{model}/route", key, method="POST", data=body, headers=PAGE | headers
    )
    return status, found.get("reason", "")


async def test_everybody_sees_and_moves_what_he_may(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """The registry is asked with the caller's own credentials, of his key or of his session."""
    async with watched(redis_url, namespace, tmp_path) as scene:
        registry = scene.registry
        for model in ("digits", "hidden"):
            await registry.push(registry.admin, model, onnx_file())
        owner = await scene.known(await registry.key("olga", ("owner", "digits")))
        viewer = await scene.known(await registry.key("vera", ("viewer", "*")))
        admin = await scene.known(registry.admin)
        await until(lambda: total(scene, viewer), 2)
        seen = {
            key: [model["name"] for model in (await asked(scene, "/models", key))[1]["models"]]
            for key in (owner, viewer)
        }
        may = [(await asked(scene, "/models/digits", key))[1]["may"] for key in (owner, viewer)]
        hidden = [
            (await asked(scene, f"/models/{name}", owner))[0] for name in ("hidden", "absent")
        ]
        nobody = (await asked(scene, "/models"))[0]
        me = (await asked(scene, "/me", owner))[1]
        by_key = await moved(scene, owner)
        by_viewer = await moved(scene, viewer)
        elsewhere = await moved(scene, owner, "hidden")
        _, _, headers = await scene.log_in(owner, **{"Sec-Fetch-Site": "same-origin"})
        cookie = headers["Set-Cookie"].partition(";")[0]
        by_session = await moved(scene, "", Cookie=cookie)
        foreign = await moved(scene, "", Cookie=cookie, **{"Sec-Fetch-Site": "cross-site"})
        log = (await asked(scene, "/models/digits/audit?kind=route", owner))[1]["changes"]
        audits = [(await asked(scene, "/audit", key))[0] for key in (owner, viewer, admin)]
    assert {owner: ["digits"], viewer: ["digits", "hidden"]} == seen
    assert (["read", "infer", "push", "route", "label", "delete"], ["read"]) == (may[0], may[1])
    assert ([403, 403], 401) == (hidden, nobody)
    assert ("olga", "api-key", True, ["digits"], []) == (
        me["subject"],
        me["proof"],
        me["enforced"],
        me["rights"]["route"],
        me["may_everywhere"],
    )
    assert ((200, ""), (403, "PERMISSION_DENIED")) == (by_key, by_viewer)
    assert ((403, "PERMISSION_DENIED"), (200, "")) == (elsewhere, by_session)
    assert (403, "PAGE_FOREIGN") == foreign
    assert [("olga", "because")] * 2 == [(each["actor"], each["reason"]) for each in log]
    assert [403, 403, 200] == audits
