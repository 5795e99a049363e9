"""Refusals of the registry: told as the page says, and counted once, by method and reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import pytest

from headrace.registry.v1 import registry_service_pb2 as pb
from tests.reasons.access import ACCESS
from tests.reasons.annotations import ANNOTATIONS
from tests.reasons.exact import expected
from tests.reasons.references import REFERENCES
from tests.reasons.registry import CALLS, CONFIGS, LIMITED, PUSHES, Refusal
from tests.rpc.registry_fixtures import RunningRegistry, onnx_file, push, running_registry

LIMITS = {"max_unpacked_bytes": 8 << 20, "max_artifact_files": 50, "max_artifact_bytes": 4 << 20}
_SERIES = re.compile(r"^headrace_call_errors_total\{(.*)\} (\d+)", re.MULTILINE)
_PUSHES = re.compile(r'^headrace_registry_pushes_total\{result="(\w+)"\} (\d+)', re.MULTILINE)


async def look(running: RunningRegistry, refusals: Sequence[Refusal]) -> None:
    """Ask for each, and compare what was told with what is scraped."""
    wrong: list[str] = []
    told = Counter[tuple[str, str]]()
    pushes = Counter[str]({"ok": 1})
    for one in refusals:
        told[one.method, one.reason] += 1
        if one.method == "PushVersion":
            pushes[one.reason] += 1
        found = await one.ask(running)
        if found != expected(one.kind, one.reason):
            wrong.append(f"{one.reason}: told {found}")
    assert [] == wrong
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{running.http_address}/metrics") as response,
    ):
        page = await response.text()
    counted = Counter[tuple[str, str]]()
    for labels, count in _SERIES.findall(page):
        named = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        counted[named["grpc_method"], named["reason"]] += int(float(count))
    assert told == counted
    results = {result: int(count) for result, count in _PUSHES.findall(page)}
    assert set(results) <= set(pushes)


async def test_refusals_of_calls(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Those that need nothing but a wrong request."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        await running.stub.CreateModel(pb.CreateModelRequest(model={"name": "models/empty"}))
        await look(running, CALLS)


@pytest.mark.toolchain
async def test_refusals_of_pushes(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Those that take the check of an artifact."""
    async with running_registry(redis_url, namespace, tmp_path, **LIMITS) as running:
        await push(running, onnx_file(), model="another")
        await look(running, (*PUSHES, *CONFIGS))


async def test_refusals_of_growth(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Those of limits that are reached."""
    limits = {"max_models": 1, "max_versions_per_model": 1, "max_aliases_per_model": 1}
    async with running_registry(redis_url, namespace, tmp_path, **limits) as running:
        await push(running, onnx_file(), header={"alias": "one"})
        await look(running, LIMITED)


async def test_refusals_of_access(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Those of keys, roles and grants."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await look(running, ACCESS)


async def test_refusals_of_references(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Those of how data looked, and of what is enforced of it."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        await look(running, REFERENCES)


async def test_refusals_of_annotations(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Those of what is said of versions, and of files that are attached."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push(running, onnx_file())
        await look(running, ANNOTATIONS)
