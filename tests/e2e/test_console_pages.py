"""Every view of the console in a real Chromium: at three widths, light and dark, and in use."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.client import AsyncClient
from tests.e2e.browsers import CHROMIUM
from tests.e2e.models import scaling
from tests.rpc.console_scenes import Scene, console_scene

WALK = Path(__file__).parent / "console_pages" / "walk.mjs"
MODULES = Path(sys.prefix) / "clients" / "console" / "node_modules"
"""Where scripts/install_clients.sh installs Playwright and axe."""
NODE = shutil.which("node")

OBJECTIVE = '[[rules]]\nname = "answers"\nkind = "objective"\ntarget = 0.999\n'

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.toolchain,
    pytest.mark.timeout(400),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
    pytest.mark.skipif(
        NODE is None or not MODULES.is_dir(), reason="`make e2e` installs Playwright"
    ),
]


async def fill(scene: Scene, folder: Path) -> None:
    """Push two versions, and another model, and call them."""
    (folder / "one.onnx").write_bytes(scaling(1.0))
    (folder / "two.onnx").write_bytes(scaling(2.0))
    replicas = await scene.until("/replicas", lambda found: bool(found["replicas"]))
    async with AsyncClient(
        registry=scene.registry.address,
        inference=replicas["replicas"][0]["grpc"],
        monitor=scene.monitor.address,
        actor="ada",
    ) as client:
        for name in ("one", "two"):
            await client.push("digits", folder / f"{name}.onnx")
        await client.apply_alert_rules(OBJECTIVE)
        await client.push("other", folder / "one.onnx")
        await client.update_model("digits", description="<img src=x onerror=alert(1)>")
        await scene.until("/overview", lambda found: found["versions"]["READY"] == 3)
        await client.alias("digits", "prod", 1)
        for _ in range(30):
            await client.infer("digits", {"x": [[1.0, 2.0]]}, timeout_seconds=20)


async def test_every_view_is_whole_and_works(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """No script fails, nothing is too wide, axe finds nothing, and what can be done is done."""
    assert NODE is not None
    assert CHROMIUM is not None
    shots = tmp_path / "shots"
    shots.mkdir()
    async with console_scene(redis_url, namespace, tmp_path, replica=True) as scene:
        await fill(scene, tmp_path)
        base = str(scene.monitor.http._base_url).rstrip("/")
        process = await asyncio.create_subprocess_exec(
            *(NODE, str(WALK), base, str(MODULES), CHROMIUM, str(shots)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        told, _ = await process.communicate()
    assert (0, "") == (process.returncode, told.decode())
    assert 84 == len([*shots.iterdir()])
