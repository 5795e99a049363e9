"""`headrace up` over TLS: the command line, replicas that share ports, and a renewal while it runs."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace import errors
from headrace.client import AsyncClient
from headrace.client.settings import read_client_settings
from headrace.tls.authority import Names
from tests.rpc.registry_fixtures import onnx_file
from tests.suite import running_suite
from tests.tls_files import ALICE, TlsFolder, tls_folder


def _headrace(*words: str, **environ: str) -> Any:
    """What a command prints in JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "headrace.cli", "--json", *words],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


async def test_a_suite_over_tls(tmp_path: Path) -> None:
    """Pushed, loaded, shared and summed up over TLS, by a name that the certificate has; then renewed."""
    folder = tls_folder(tmp_path)
    names = Names(["suite.example"])
    pair = folder.pair("server", names, serves=True)
    model = tmp_path / "add.onnx"
    model.write_bytes(onnx_file())
    flags = [f"--tls-cert={pair.certificate}", f"--tls-key={pair.key}", f"--tls-ca={folder.ca}"]
    async with running_suite(tmp_path, replicas=2, extra=flags) as suite:
        assert {"ca": str(folder.ca), "name": "suite.example"} == suite.ready["tls"]
        environ = {
            "HEADRACE_TLS_CA": str(folder.ca),
            "HEADRACE_TLS_NAME": "suite.example",
            "HEADRACE_REGISTRY": suite.registry,
            "HEADRACE_INFERENCE": suite.inference,
            "HEADRACE_MONITOR": suite.monitor,
        }
        await asyncio.to_thread(_headrace, "push", "add", str(model), "--wait", **environ)
        await _infer_through_renewals(folder, environ)
        page = await asyncio.to_thread(_metrics, suite.ready["shared"]["metrics"], folder)
        for index in range(2):
            assert f'headrace_tls_files_usable{{replica="replica-{index}"}} 1.0' in page
        statistics = await asyncio.to_thread(_headrace, "models", **environ)
        assert "add" in json.dumps(statistics)


async def _infer_through_renewals(folder: TlsFolder, environ: dict[str, str]) -> None:
    names, answered = Names(["suite.example"]), 0
    for _ in range(3):
        async with AsyncClient(settings=read_client_settings(environ)) as client:
            for _ in range(20):
                answer = await client.infer("add", np.ones((1, 4), np.float32))
                assert [2.0] * 4 == list(answer["y"][0])
                answered += 1
        folder.pair("server", names, serves=True)
    assert 60 == answered


def _metrics(address: str, folder: TlsFolder) -> str:
    port = address.rsplit(":", 1)[1]
    command = [
        "curl",
        "-sS",
        "--cacert",
        str(folder.ca),
        "--resolve",
        f"suite.example:{port}:127.0.0.1",
    ]
    url = f"https://suite.example:{port}/metrics"
    return subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout


@pytest.mark.toolchain
async def test_a_suite_that_asks_for_certificates_and_keys(tmp_path: Path) -> None:
    """Its services show one another the suite's certificate and bring keys; callers need both, too."""
    folder = tls_folder(tmp_path)
    pair, alice = folder.server(), folder.pair("alice", ALICE)
    model, admin = tmp_path / "add.onnx", tmp_path / "admin.key"
    model.write_bytes(onnx_file())
    flags = [f"--tls-cert={pair.certificate}", f"--tls-key={pair.key}", f"--tls-ca={folder.ca}"]
    flags += [f"--tls-client-ca={folder.ca}", "--tls-client-auth=required", "--auth"]
    flags.append(f"--admin-key-file={admin}")
    async with running_suite(tmp_path, replicas=2, extra=flags) as suite:
        where = {"HEADRACE_REGISTRY": suite.registry, "HEADRACE_INFERENCE": suite.inference}
        shown = {"HEADRACE_TLS_CERT": str(alice.certificate), "HEADRACE_TLS_KEY": str(alice.key)}
        environ = {"HEADRACE_TLS_CA": str(folder.ca), **where, **shown}
        environ["HEADRACE_TOKEN_FILE"] = str(admin)
        await asyncio.to_thread(_headrace, "push", "add", str(model), "--wait", **environ)
        for missing in ("HEADRACE_TOKEN_FILE", "HEADRACE_TLS_CERT"):
            less = {name: value for name, value in environ.items() if name != missing}
            if missing == "HEADRACE_TLS_CERT":
                del less["HEADRACE_TLS_KEY"]
            async with AsyncClient(settings=read_client_settings(less, timeout_seconds=1.0)) as one:
                with pytest.raises((errors.Unauthenticated, errors.Unavailable)):
                    await one.infer("add", np.ones((1, 4), np.float32))
        async with AsyncClient(settings=read_client_settings(environ)) as client:
            answer = await client.infer("add", np.ones((1, 4), np.float32))
            assert [2.0] * 4 == list(answer["y"][0])
