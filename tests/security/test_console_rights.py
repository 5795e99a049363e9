"""The console's JSON where callers have to be somebody: what each sees and may do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from headrace.client import AsyncClient
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


async def test_everybody_is_told_of_versions_that_he_may_read(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Annotations, files and searches are what the registry tells the caller, by key or session."""
    async with watched(redis_url, namespace, tmp_path) as scene:
        registry = scene.registry
        for model in ("digits", "hidden"):
            await registry.push(registry.admin, model, onnx_file())
        owner = await scene.known(await registry.key("olga", ("owner", "digits")))
        admin = await scene.known(registry.admin)
        key_file = tmp_path / "admin.key"
        key_file.write_text(registry.admin)
        key_file.chmod(0o600)
        async with AsyncClient(registry=registry.running.address, token_file=key_file) as client:
            for model in ("digits", "hidden"):
                await client.attach(model, 1, "card.md", b"# A card")
        await until(lambda: total(scene, admin), 2)
        paths = ("annotations", "compare?first=1&second=1", "versions/1/attachment?path=card.md")
        _, _, headers = await scene.log_in(owner, **{"Sec-Fetch-Site": "same-origin"})
        cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
        found = {
            model: [
                (await scene.ask(f"/api/v1/models/{model}/{path}", key, headers=more))[0]
                for path in paths
                for key, more in ((owner, {}), ("", cookie), ("", {}))
            ]
            for model in ("digits", "hidden")
        }
        seen = [
            [each["model"] for each in (await asked(scene, "/versions", key))[1]["versions"]]
            for key in (owner, admin)
        ]
    assert {"digits": [200, 200, 401] * 3, "hidden": [403, 403, 401] * 3} == found
    assert [["digits"], ["digits", "hidden"]] == seen
