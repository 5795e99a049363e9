"""A real Prometheus scrapes services that ask who calls, with a key from a file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.e2e.prometheus import PROMETHEUS, Prometheus, running_prometheus
from tests.security.registries import secured_registry

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.toolchain,
    pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed"),
]


async def said_of(prometheus: Prometheus) -> str:
    """What became of the first scrape of its only target."""
    for _ in range(400):
        for target in (await prometheus.ask("targets"))["activeTargets"]:
            if target["health"] != "unknown":
                return str(target["lastError"] or target["health"])
        await asyncio.sleep(0.05)
    raise AssertionError("it never scraped")


async def test_a_key_in_a_file_is_enough(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """One that reads all models; with one of a team, or none, it is told so."""
    async with secured_registry(redis_url, namespace, tmp_path / "registry") as registry:
        targets = {"registry": [registry.running.http_address]}
        answers = {}
        for subject, models in (("prometheus", "*"), ("team", "team-*"), ("", "")):
            folder = tmp_path / (subject or "nobody")
            folder.mkdir()
            file = folder / "key" if subject else None
            if file:
                file.write_text(f"{await registry.key(subject, ('viewer', models))}\n")
            async with running_prometheus(folder, targets, file) as prometheus:
                answers[subject] = await said_of(prometheus)
    assert answers["prometheus"] == "up"
    assert "403" in answers["team"]
    assert "401" in answers[""]
