"""Every view of the console in a real Chromium: at three widths, light and dark, and in use."""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.client import AsyncClient
from headrace.state.annotation_records import Lineage, Metric
from headrace.state.gate_records import GateComparison, GateRecord
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

CARD = (WALK.parent / "hostile_card.txt").read_bytes()
REPORT = (WALK.parent / "hostile_report.html").read_bytes()
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
FILES = {
    "card.md": (CARD, "text/markdown"),
    "evaluation/test.csv/report.html": (REPORT, "text/html"),
    "evaluation/test.csv/plot.svg": (SVG, "image/svg+xml"),
    "evaluation/test.csv/plot.png": (PNG, "image/png"),
    "explanation/global.html": (REPORT, "text/html"),
}


def accuracy(value: float, lower: float, upper: float) -> Metric:
    """A metric of the same data each time."""
    return Metric("accuracy", value, "", "d" * 64, "test.csv", lower, upper, 0.95, 40)


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
        await client.push("digits", folder / "one.onnx", metrics=[accuracy(0.97, 0.96, 0.98)])
        await client.push(
            "digits",
            folder / "two.onnx",
            tags={"team": "vision", "note": "<img src=x onerror=alert(1)>"},
            metrics=[accuracy(0.9, 0.88, 0.92), Metric("f1.a", 0.8, "region=eu")],
            lineage=Lineage(1, "retrain", "headrace retrain weekly.yaml", facts={"seed": "7"}),
        )
        for path, (data, media_type) in FILES.items():
            await client.attach("digits", 2, path, data, media_type=media_type)
        await client.apply_alert_rules(OBJECTIVE)
        await client.push("other", folder / "one.onnx")
        await client.update_model(
            "digits",
            description="<img src=x onerror=alert(1)>",
            labels={"headrace.retraining": f"r7 {time.time():.0f}"},
            gate=GateRecord(("accuracy >= 0.95",), (GateComparison("accuracy", "", 0.01),)),
        )
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
    assert 116 == len([*shots.iterdir()])
