"""The example of retraining: a year arrives, and the version that saw it is compared, tried, promoted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from examples.retraining.arrive import arrive
from headrace.client import AsyncClient
from tests.suite import running_suite, without_settings

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.e2e, pytest.mark.toolchain, pytest.mark.timeout(240)]


async def test_two_years(tmp_path: Path) -> None:
    """Both versions are promoted, the second one after a comparison on the newest people."""
    file = tmp_path / "retrain.yaml"
    shutil.copy(ROOT / "examples/retraining/retrain.yaml", file)
    async with running_suite(tmp_path / "suite") as suite:
        asked = AsyncClient(registry=suite.registry)
        for year in (2015, 2016):
            arrive(year, tmp_path / "data")
            done = retrain(file, suite.registry, suite.inference, suite.monitor)
            assert 0 == done.returncode, done.stdout + done.stderr
        async with asked as client:
            assert 2 == (await client.route("census")).stable
            said = await client.annotations("census", 2)
            assert said.lineage is not None
            assert ("2015, 2016", 1) == (
                said.lineage.facts["years"],
                said.lineage.parent_version,
            )
            assert "promoted" == said.tags["retraining_outcome"]
        assert "of version 1" in done.stdout


def retrain(
    file: Path, registry: str, inference: str, monitor: str
) -> subprocess.CompletedProcess[str]:
    """Run the file once; the command finds the examples in this tree."""
    file.write_text(file.read_text().replace("../..", str(ROOT)))
    addresses = [f"--registry={registry}", f"--inference={inference}", f"--monitor={monitor}"]
    return subprocess.run(
        [sys.executable, "-m", "headrace.cli", "retrain", str(file), "--now", *addresses],
        env=without_settings(os.environ),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
