"""Registry, replica, REST and metrics over TLS: rotation under load, certificates of clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http

from headrace import errors
from headrace.cli.app import run
from headrace.client import AsyncClient, Client
from headrace.tls import certificates
from headrace_inference.app.front_choice import choose_front
from headrace_inference.app.servers import Fronts
from tests.rpc.registry_fixtures import onnx_file, running_registry
from tests.rpc.tls_suites import (
    TlsSuite,
    calling,
    http_context,
    open_tls_suite,
    page_of,
    served,
    shown_by,
)
from tests.tls_files import ALICE, Pair, TlsFolder, tls_folder

X = np.ones((1, 4), np.float32)


async def _push(client: AsyncClient, folder: Path) -> None:
    file = folder / "add.onnx"
    file.write_bytes(onnx_file())
    await client.push("add", file)
    await client.wait_until_ready("add", 1)


@asynccontextmanager
async def _suite(
    redis_url: str, namespace: str, tmp_path: Path
) -> AsyncIterator[tuple[TlsFolder, Pair, TlsSuite]]:
    folder = tls_folder(tmp_path)
    pair = folder.server()
    opening = open_tls_suite(redis_url, namespace, tmp_path, served(pair), calling(folder))
    async with opening as suite:
        yield folder, pair, suite


async def test_a_certificate_rotates_under_load(
    redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New clients see the new certificate on every port, half-written ones never: no call fails."""
    monkeypatch.setattr(certificates, "GRACE_SECONDS", 0.0)
    async with (
        _suite(redis_url, namespace, tmp_path) as (folder, pair, suite),
        suite.client(tls_ca=folder.ca) as client,
    ):
        await _push(client, tmp_path)
        stop, calls = asyncio.Event(), _calls(suite, client, folder)
        made = [0] * len(calls)

        async def load(index: int) -> None:
            while not stop.is_set():
                await calls[index]()
                made[index] += 1

        async with asyncio.TaskGroup() as group:
            for index in range(len(calls)):
                group.create_task(load(index))
            for _ in range(3):
                await _rotate(suite, folder, pair)
                before = list(made)
                async with asyncio.timeout(20):
                    while any(a < b + 3 for a, b in zip(made, before, strict=True)):  # noqa: ASYNC110
                        await asyncio.sleep(0.005)  # the other tasks count
            stop.set()


def _calls(
    suite: TlsSuite, client: AsyncClient, folder: TlsFolder
) -> list[Callable[[], Awaitable[object]]]:
    """Calls over connections that stay, and over new ones, of gRPC and REST."""
    context = http_context(folder)
    url = f"https://{suite.replica.fronts.http_address}/v2/models/add/infer"
    inputs = [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 1, 1, 1]}]

    async def rest() -> None:
        connector = aiohttp.TCPConnector(ssl=context)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(url, json={"inputs": inputs}) as response,
        ):
            assert 200 == response.status
            await response.read()

    async def over_new_channels() -> None:
        async with suite.client(tls_ca=folder.ca) as fresh:
            await fresh.infer("add", X)

    return [
        partial(client.infer, "add", X),
        partial(client.model, "add"),
        over_new_channels,
        rest,
    ]


async def _rotate(suite: TlsSuite, folder: TlsFolder, pair: Pair) -> None:
    """Another certificate: not shown while its key alone is there, and shown on every port then."""
    fronts = suite.replica.fronts
    metrics = f"https://{fronts.metrics_address}/metrics"
    before = pair.certificate.read_bytes()
    pair.key.write_bytes(b"half of a k")  # a key is written, its certificate is not
    assert before == await asyncio.to_thread(shown_by, fronts.grpc_address, folder, "h2")
    assert "headrace_tls_files_usable 0.0" in await page_of(metrics, http_context(folder))
    folder.renew(pair)
    now = pair.certificate.read_bytes()
    for address in (fronts.http_address, fronts.metrics_address):
        assert now == await asyncio.to_thread(shown_by, address, folder, "http/1.1")
    for address in (fronts.grpc_address, suite.registry.address):
        assert now == await asyncio.to_thread(shown_by, address, folder, "h2")


async def test_tritons_clients_speak_tls(redis_url: str, namespace: str, tmp_path: Path) -> None:
    """Both of them, with the options that they have for it; and the blocking client."""
    async with _suite(redis_url, namespace, tmp_path) as (folder, _, suite):
        fronts = suite.replica.fronts
        async with suite.client(tls_ca=folder.ca) as client:
            await _push(client, tmp_path)
        ready = await asyncio.to_thread(_ready_by_tritons_clients, fronts, folder)
        assert (True, True) == ready

        def blocking() -> list[float]:
            where = f"grpcs://{fronts.grpc_address}"
            with Client(inference=where, tls_ca=folder.ca) as client:
                return list(client.infer("add", X)["y"][0])

        assert [2.0, 2.0, 2.0, 2.0] == await asyncio.to_thread(blocking)


def _ready_by_tritons_clients(fronts: Fronts, folder: TlsFolder) -> tuple[bool, bool]:
    grpc_client = triton_grpc.InferenceServerClient(
        fronts.grpc_address,
        ssl=True,
        root_certificates=str(folder.ca),
    )
    http_client = triton_http.InferenceServerClient(
        fronts.http_address,
        ssl=True,
        ssl_options={"ca_certs": str(folder.ca)},
    )
    found = grpc_client.is_model_ready("add"), http_client.is_model_ready("add")
    grpc_client.close()
    http_client.close()
    return found


async def test_services_show_certificates_to_one_another(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """Where clients must have a certificate, the replica downloads with its own, and others are refused."""
    folder, stranger = tls_folder(tmp_path), tls_folder(tmp_path, "other")
    pair, client = folder.server(), folder.pair("alice", ALICE)
    theirs = stranger.pair("alice", ALICE)
    shown = served(pair, tls_client_ca=folder.ca, tls_client_auth="required")
    peers = calling(folder, pair)
    async with open_tls_suite(redis_url, namespace, tmp_path, shown, peers) as suite:
        mine = {"tls_cert": client.certificate, "tls_key": client.key, "tls_ca": folder.ca}
        async with suite.client(**mine) as known:
            await _push(known, tmp_path)
            assert [2.0] * 4 == list((await known.infer("add", X))["y"][0])
        others = {"tls_cert": theirs.certificate, "tls_key": theirs.key, "tls_ca": folder.ca}
        for given in ({"tls_ca": folder.ca}, others):
            async with suite.client(**given, timeout_seconds=0.5) as unknown:
                with pytest.raises(errors.Unavailable, match="show one"):
                    await unknown.model("add")
        url = f"https://{suite.replica.fronts.metrics_address}/metrics"
        assert "headrace_tls_files_usable 1.0" in await page_of(url, http_context(folder, client))
        with pytest.raises(aiohttp.ClientError):
            await page_of(url, http_context(folder))


def test_tls_and_the_native_front(caplog: pytest.LogCaptureFixture) -> None:
    """It has none: it is refused where it is asked for, and auto takes the other one and says so."""
    with pytest.raises(errors.FailedPrecondition, match="gateway") as refused:
        choose_front("native", native_available=True, secured=True)
    assert "FRONT_UNAVAILABLE" == refused.value.reason
    with caplog.at_level("INFO"):
        assert "grpcio" == choose_front("auto", native_available=True, secured=True)
    assert "the native one has no TLS" in caplog.text
    assert "native" == choose_front("native", native_available=True)


async def test_the_command_line_speaks_tls(
    redis_url: str, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its options before or after the command, or by the address; else it says what is missing."""
    folder = tls_folder(tmp_path)
    alice = folder.pair("alice", ALICE)
    shown = served(folder.server(), tls_client_ca=folder.ca, tls_client_auth="required")
    async with running_registry(redis_url, namespace, tmp_path / "registry", **shown) as registry:
        mine = ["--tls-cert", str(alice.certificate), "--tls-key", str(alice.key)]
        trust, where = ["--tls-ca", str(folder.ca)], ["--registry", registry.address]
        rows = [
            (0, [*where, *trust, *mine, "--json", "models"]),
            (0, ["models", "--json", *where, *trust, *mine]),
            (1, ["models", "--registry", f"grpcs://{registry.address}", *mine]),
            (3, ["models", *where, *trust]),
            (2, ["models", *where, *trust, *mine[:2]]),
        ]
        told = [await asyncio.to_thread(run, words) for _, words in rows]
    assert [status for status, _ in rows] == told
    errors_told = capsys.readouterr().err
    for text in ("TLS_FAILED", "show one: --tls-cert", "tls_cert needs tls_key"):
        assert text in errors_told
