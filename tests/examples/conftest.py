"""A real suite for the examples' models, and callers of it."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace.client import Version
from tests.suite import RunningSuite, running_suite


class Serving:
    """Pushes models to a suite and calls them, over gRPC as Python does and over REST as curl does."""

    def __init__(self, suite: RunningSuite, client: headrace.Client) -> None:
        self._suite = suite
        self.client = client

    def push(self, name: str, path: Path) -> Version:
        """A version that is served."""
        version = self.client.push(name, path)
        self.client.wait_until_ready(name, version.number, timeout_seconds=60)
        return version

    def post(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON that REST answers."""
        request = urllib.request.Request(
            f"http://{self._suite.rest}{path}",
            data=json.dumps(document).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer: dict[str, Any] = json.load(response)
        return answer


@pytest.fixture(scope="package")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One suite for all files that a process of the tests runs."""
    with asyncio.Runner() as runner:
        running = running_suite(tmp_path_factory.mktemp("examples"))
        suite = runner.run(running.__aenter__())
        with headrace.Client(
            registry=suite.registry, inference=suite.inference, monitor=suite.monitor
        ) as client:
            yield Serving(suite, client)
        runner.run(running.__aexit__(None, None, None))
