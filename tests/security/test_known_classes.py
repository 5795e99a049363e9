"""The field's known classes of vulnerabilities, each tried on ours: docs/security-cves.md has the list."""

from __future__ import annotations

import ast
import asyncio
import base64
import functools
import os
import pickle  # what an attacker sends
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from headrace import errors
from headrace.registry.v1 import registry_service_pb2 as pb
from tests.rpc.grpc_fixtures import failure_of
from tests.rpc.registry_fixtures import (
    error_of,
    external_data_files,
    onnx_file,
    push,
    running_registry,
    tar_of,
    zip_of,
)
from tests.rpc.test_inference_model_control import load, opened

ROOT = Path(__file__).parents[2]
PICKLES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
HTTP_CLIENTS = {"urllib.request", "http.client", "requests", "httpx", "aiohttp", "urllib3"}
MAY_CALL_OUT = {
    "headrace/cli/served_models.py",  # the suite that it has just started
    "headrace/security/jwks.py",  # the issuers that the identity file pins
    "services/monitor/headrace_monitor/adapters/notify/posting.py",  # the receivers that rules name
    # the metrics of replicas that share this one's ports, by the folder that they share
    "services/inference/headrace_inference/adapters/metrics/machine_replicas.py",
}
"""Files that open URLs: of their own process, or that an administrator names, never of other callers."""


def shipped() -> Iterator[Path]:
    """The code that users run."""
    for folder in ("headrace", "services"):
        yield from (ROOT / folder).rglob("*.py")


@functools.cache
def imported(path: Path) -> set[str]:
    """The modules that a file imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


class Bomb:
    """What makes a file when somebody unpickles it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


# Pickle on sockets: vLLM CVE-2025-47277, ShadowMQ CVE-2024-50050.


def test_nothing_reads_pickles() -> None:
    """No file that users run imports a module that runs what it reads, and lint refuses new ones."""
    assert [] == [path for path in shipped() if PICKLES & imported(path)]
    for module in ("pickle", "joblib"):
        command = [sys.executable, "-m", "ruff", "check", "--select=TID251", "--no-cache"]
        checked = subprocess.run(
            [*command, "--stdin-filename", "headrace/new.py", "-"],
            input=f"import {module}\n".encode(),
            capture_output=True,
            cwd=ROOT,
            check=False,
        )
        assert b"TID251" in checked.stdout


@pytest.mark.toolchain
async def test_a_pickle_is_never_run(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """As a graph, beside a graph, or as an array of objects for the command line."""
    marker = tmp_path / "ran"
    bomb = pickle.dumps(Bomb(marker))
    async with running_registry(redis_url, namespace, tmp_path / "data") as running:
        as_graph = await error_of(push(running, bomb))
        named = zip_of({"model.onnx": onnx_file(), "model.pkl": bomb, "weights.pt": bomb})
        await push(running, named, filename="m.zip")
    array = tmp_path / "x.npy"
    np.save(array, np.array([Bomb(marker)], object), allow_pickle=True)
    command = [sys.executable, "-m", "headrace.cli", "infer", "m", f"@{array}"]
    asked = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    assert "MODEL_NOT_ONNX" == as_graph.reason
    assert 0 != asked.returncode
    assert not marker.exists()


# Path traversal by a model's source, or by settings: MLflow CVE-2023-1177, Triton CVE-2024-0087.

OUTSIDE = ["../secret.bin", "../../../secret.bin", "{folder}/secret.bin", "a/../../secret.bin"]


async def test_a_graph_reads_its_own_files_alone(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Whether it is pushed, or loaded by a caller: its weights cannot be a file of the service's."""
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    (tmp_path / "replica").mkdir()
    graphs = [
        external_data_files(location.format(folder=tmp_path))["model.onnx"] for location in OUTSIDE
    ]
    async with running_registry(redis_url, namespace, tmp_path / "registry") as running:
        pushed = {(await error_of(push(running, graph))).reason for graph in graphs[1:3]}
        packed = zip_of({"model.onnx": graphs[0]})
        pushed.add((await error_of(push(running, packed, filename="m.zip"))).reason)
    async with opened(tmp_path / "replica") as replica:
        for graph in graphs:
            request = load("m", "{}", {"1/model.onnx": graph})
            loaded = await failure_of(replica.stub.RepositoryModelLoad(request))
            assert "external data must lie beside the graph" in loaded[2]
            assert str(tmp_path / "replica") not in loaded[2]
    assert {"EXTERNAL_DATA_INVALID"} == pushed


def test_no_request_names_a_place_to_fetch_from_or_to_write_to() -> None:
    """A push brings bytes: no field of it is a path or an address; the file's name counts by its ending."""
    fields = {field.name for field in pb.PushVersionRequest.Header.DESCRIPTOR.fields}
    assert set() == {
        name for name in fields if re.search("url|uri|path|source|location|host", name)
    }


# Archive slip: tar and zip entries that leave the folder.

SLIPS = ["../evil", "a/../../evil", "/tmp/evil", "a\\..\\..\\evil", "C:\\evil", "a/./../../evil"]


def evil_files(folder: Path) -> list[Path]:
    """What an entry left outside."""
    return [path for path in folder.rglob("*evil*") if path.is_file()]


async def test_archives_write_into_their_folder_alone(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Nothing of such an archive stays, wherever it points."""
    graph = {"model.onnx": onnx_file()}
    archives = [(zip_of({**graph, name: b"evil"}), "m.zip") for name in SLIPS[::2]]
    archives += [(tar_of({**graph, name: b"evil"}), "m.tar.gz") for name in SLIPS[1::2]]
    archives.append((tar_of(graph, links={"link": "/etc/passwd"}), "m.tar.gz"))
    async with running_registry(redis_url, namespace, tmp_path / "data") as running:
        calls = [push(running, packed, filename=filename) for packed, filename in archives]
        reasons = [(await error_of(call)).reason for call in calls]
        assert set() == running.stored_files()
    assert ["ARCHIVE_UNSAFE_PATH"] * len(SLIPS) + ["ARCHIVE_UNSAFE_ENTRY"] == reasons
    assert [] == evil_files(tmp_path)


# Names of shared memory in error texts: Triton CVE-2025-23319, -23320, -23334.


@pytest.mark.skipif(sys.platform != "linux", reason="where a process's memory can be looked at")
async def test_a_replica_has_no_shared_memory_that_could_be_named(tmp_path: Path) -> None:
    """Of its own: what it maps of /dev/shm, callers have registered. So no error can name it."""
    before = mapped_shared_memory()  # libraries that other tests have loaded keep semaphores there
    async with opened(tmp_path) as replica:
        await replica.stub.RepositoryModelLoad(load("m", "{}", {"1/model.onnx": onnx_file()}))
        mapped = mapped_shared_memory()
    assert set() == mapped - before


def mapped_shared_memory() -> set[str]:
    """What this process maps of /dev/shm."""
    maps = psutil.Process().memory_maps()
    return {region.path for region in maps if region.path.startswith("/dev/shm/")}


# Server-side request forgery: vLLM CVE-2026-24779.


def test_services_open_no_addresses_that_callers_name() -> None:
    """The only files with a client of HTTP are listed, each with whose address it opens."""
    calling = {
        path.relative_to(ROOT).as_posix() for path in shipped() if HTTP_CLIENTS & imported(path)
    }
    assert set() == calling - MAY_CALL_OUT


# Default credentials: MLflow's basic authentication.

USUAL = ["admin:password1234", "admin:admin", "admin:password", "root:root", "headrace:headrace"]


async def test_nobody_has_a_key_before_one_is_made(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """A registry that starts with auth knows no subject at all, and none of the usual passwords."""
    request = pb.GetModelRequest(name="models/digits")
    usual = [f"Basic {base64.b64encode(text.encode()).decode()}" for text in USUAL]
    given = [*usual, "Bearer admin", "Bearer headrace", "Bearer "]
    async with running_registry(redis_url, namespace, tmp_path, auth="on") as running:
        calls = [running.stub.GetModel(request, metadata=[("authorization", it)]) for it in given]
        refused = [await error_of(call) for call in (running.stub.GetModel(request), *calls)]
    assert {errors.Unauthenticated} == {type(error) for error in refused}


# The page itself.


def test_the_page_names_tests_that_are_there() -> None:
    """What it says is tried, is tried."""
    page = (ROOT / "docs" / "security-cves.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert named
    missing = [
        (path, test)
        for path, test in named
        if not (ROOT / path).is_file() or f"def {test}" not in (ROOT / path).read_text("utf-8")
    ]
    assert [] == missing
