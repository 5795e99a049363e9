"""A real Prometheus over real services, with the alerts that are shipped and shorter times."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp

from headrace.service.parent_death import tether

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")

START_SECONDS = 30.0
_STEP = "500ms"
_FOR = re.compile(r"^(\s+for:) \w+$", re.MULTILINE)
_RANGE = re.compile(r"\[\w+\]")
_READY = b"Server is ready to receive web requests"
_LISTENING = re.compile(r"address=127\.0\.0\.1:([1-9]\d*)")


def shipped_alerts() -> set[str]:
    """The names of the alerts in deploy/alerts.yml."""
    return set(re.findall(r"- alert: (\w+)", (DEPLOY / "alerts.yml").read_text()))


def hastened(rules: str) -> str:
    """The rules as they are, but that they hold for a second, and look back ten."""
    return _RANGE.sub("[10s]", _FOR.sub(r"\1 1s", rules))


class Prometheus:
    """One that runs, by its address."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def ask(self, path: str) -> Any:
        """The data of an answer of its API."""
        async with self._session.get(f"{self._url}/api/v1/{path}") as response:
            return (await response.json())["data"]

    async def firing(self) -> set[str]:
        """The names of the alerts that fire now."""
        alerts = (await self.ask("alerts"))["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    async def down(self) -> set[str]:
        """The jobs of the targets that do not answer, or were not asked yet."""
        targets = (await self.ask("targets"))["activeTargets"]
        return {one["labels"]["job"] for one in targets if one["health"] != "up"}


@asynccontextmanager
async def running_prometheus(
    folder: Path,
    targets: Mapping[str, Sequence[str]],
    key: Path | None = None,
    tls: Mapping[str, Path] = MappingProxyType({}),
) -> AsyncIterator[Prometheus]:
    """One that scrapes these addresses, by job, twice a second while inside; with a key, if given.

    The jobs in `tls` are scraped over TLS, and have certificates of these authorities.
    """
    (folder / "alerts.yml").write_text(hastened((DEPLOY / "alerts.yml").read_text()))
    brings = f"    authorization: {{credentials_file: {key}}}\n" if key else ""
    over_tls = {
        job: f"    scheme: https\n    tls_config: {{ca_file: {ca}}}\n" for job, ca in tls.items()
    }
    jobs = [
        f"  - job_name: {job}\n{brings}{over_tls.get(job, '')}"
        f"    static_configs: [{{targets: {list(addresses)}}}]\n"
        for job, addresses in targets.items()
    ]
    config = folder / "prometheus.yml"
    config.write_text(
        f"global: {{scrape_interval: {_STEP}, scrape_timeout: {_STEP}, evaluation_interval: {_STEP}}}\n"
        f"rule_files: [alerts.yml]\nscrape_configs:\n{''.join(jobs)}"
    )
    assert PROMETHEUS is not None
    process = await asyncio.create_subprocess_exec(
        *tether(),
        PROMETHEUS,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'series'}",
        "--web.listen-address=127.0.0.1:0",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        port, reading = await _port_of(process)
        async with aiohttp.ClientSession() as session:
            yield Prometheus(f"http://127.0.0.1:{port}", session)
        reading.cancel()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _port_of(process: asyncio.subprocess.Process) -> tuple[int, asyncio.Task[None]]:
    """The port that it took, as its log says, once it is ready; the rest of the log is dropped."""
    assert process.stderr is not None
    port = 0
    async with asyncio.timeout(START_SECONDS):
        async for line in process.stderr:
            if found := _LISTENING.search(line.decode()):
                port = int(found[1])
            if _READY in line:
                return port, asyncio.ensure_future(_drop(process.stderr))
    raise AssertionError("prometheus ended before it was ready")


async def _drop(log: asyncio.StreamReader) -> None:
    async for _ in log:
        pass
