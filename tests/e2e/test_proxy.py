"""deploy/haproxy.cfg, run by HAProxy itself: TLS, certificates, and calls balanced over the replicas."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from headrace.registry.v1 import alias_pb2, registry_service_pb2, registry_service_pb2_grpc
from tests.e2e.models import scaling
from tests.e2e.traffic import client_of, push
from tests.suite import RunningSuite, running_suite

CONFIG = Path(__file__).parents[2] / "deploy" / "haproxy.cfg"
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
START_SECONDS = 20
POLL_SECONDS = 0.02
CALLS = 100
RETRIES = {
    "name": [{"service": "inference.GRPCInferenceService"}],
    "retryPolicy": {
        "maxAttempts": 5,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    },
}
"""What any gRPC client can do by itself about a call that met a replica as it died."""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.toolchain,
    pytest.mark.skipif(
        HAPROXY is None or shutil.which("openssl") is None,
        reason="haproxy or openssl is not installed; `make e2e` does it as root",
    ),
]


@dataclass(frozen=True, slots=True)
class Proxied:
    """A suite, and the folder with the sockets of the proxy before it and the certificates."""

    suite: RunningSuite
    folder: Path

    @asynccontextmanager
    async def channel(
        self, frontend: str, caller: str | None = None
    ) -> AsyncIterator[grpc.aio.Channel]:
        """A channel over TLS to a frontend, perhaps with this caller's certificate."""
        key = certificate = None
        if caller:
            key, certificate = (self._read(f"{caller}.{end}") for end in ("key", "crt"))
        credentials = grpc.ssl_channel_credentials(self._read("authority.crt"), key, certificate)
        options = [
            ("grpc.ssl_target_name_override", "proxy"),
            ("grpc.service_config", json.dumps({"methodConfig": [RETRIES]})),
        ]
        target = f"unix:{self.folder / frontend}"
        async with grpc.aio.secure_channel(target, credentials, options) as channel:
            yield channel

    def _read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


@asynccontextmanager
async def proxied(folder: Path) -> AsyncIterator[Proxied]:
    """A suite of two replicas that serve `m`, behind HAProxy with the shipped configuration."""
    make_certificates(folder)
    async with running_suite(folder, replicas=2) as suite, client_of(suite) as client:
        await push(client, "m", scaling(2.0))
        config = folder / "haproxy.cfg"
        config.write_text(localised(CONFIG.read_text(), suite, folder))
        proxy = await asyncio.create_subprocess_exec(str(HAPROXY), "-f", str(config))
        try:
            await wait_until_there(folder / "registry")
            yield Proxied(suite, folder)
        finally:
            assert proxy.returncode is None
            proxy.terminate()
            await proxy.wait()


async def wait_until_there(socket: Path) -> None:
    """Wait until the proxy, which says nothing, listens on its last socket."""
    async with asyncio.timeout(START_SECONDS):
        while not socket.exists():  # noqa: ASYNC110, ASYNC240 - another process makes it
            await asyncio.sleep(POLL_SECONDS)


def make_certificates(folder: Path) -> None:
    """An authority, and what it signed: the proxy's certificate and that of the caller `miller`."""
    authority = folder / "authority"
    openssl(
        "req", "-x509", "-subj", "/CN=authority", *new_key(authority), "-out", f"{authority}.crt"
    )
    for name in ("proxy", "miller"):
        one = folder / name
        signed = ("-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-out", f"{one}.crt")
        alternative = ("-addext", f"subjectAltName=DNS:{name}")
        openssl("req", "-x509", "-subj", f"/CN={name}", *alternative, *new_key(one), *signed)
    pair = [(folder / f"proxy.{end}").read_text() for end in ("crt", "key")]
    (folder / "headrace.pem").write_text("".join(pair))
    shutil.copy(f"{authority}.crt", folder / "callers.pem")


def new_key(path: Path) -> list[str]:
    """The arguments that make a key here."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    return [*curve, "-nodes", "-keyout", f"{path}.key"]


def openssl(*arguments: str) -> None:
    """Run openssl."""
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)


def localised(config: str, suite: RunningSuite, folder: Path) -> str:
    """The configuration with this suite's addresses, and with sockets in the folder to listen on."""
    registry_http = suite.ready["registry_http"].rpartition(":")[2]
    places = {
        "/etc/haproxy": str(folder),
        "127.0.0.1:8100 port 8101": f"{suite.registry} port {registry_http}",
        "bind :9001": f"bind unix@{folder / 'grpc'}",
        "bind :9000": f"bind unix@{folder / 'rest'}",
        "bind :9100": f"bind unix@{folder / 'registry'}",
    }
    for first, replica in zip((8000, 8010), suite.ready["inference"], strict=True):
        health = f"port {replica['metrics'].rpartition(':')[2]}"
        places[f"127.0.0.1:{first + 1} port {first + 2}"] = f"{replica['grpc']} {health}"
        places[f"127.0.0.1:{first} port {first + 2}"] = f"{replica['http']} {health}"
    for shipped, here in places.items():
        assert shipped in config
        config = config.replace(shipped, here)
    return config


async def infer(channel: grpc.aio.Channel) -> float:
    """One call through the proxy: twice 21."""
    request = service_pb2.ModelInferRequest(model_name="m")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    request.raw_input_contents.append(np.array([[21, 0]], np.float32).tobytes())
    stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    answer = await stub.ModelInfer(request, wait_for_ready=True, timeout=START_SECONDS)
    return float(np.frombuffer(answer.raw_output_contents[0], np.float32)[0])


async def served_by(suite: RunningSuite) -> Counter[int]:
    """How many calls each replica has answered."""
    counts: Counter[int] = Counter()
    for at, replica in enumerate(suite.ready["inference"]):
        async with grpc.aio.insecure_channel(replica["grpc"]) as channel:
            stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            answer = await stub.ModelStatistics(service_pb2.ModelStatisticsRequest(name="m"))
            counts[at] = answer.model_stats[0].inference_stats.success.count
    return counts


async def test_calls_of_one_connection_go_to_all_replicas(tmp_path: Path) -> None:
    """Over one TLS connection each replica gets its share; REST is served beside it."""
    async with proxied(tmp_path) as here:
        async with here.channel("grpc") as channel:
            assert [42.0] * CALLS == [await infer(channel) for _ in range(CALLS)]
        counts = await served_by(here.suite)
        assert CALLS == counts.total()
        assert min(counts.values()) > CALLS // 4

        url = "https://proxy/v2/models/m/ready"
        trusted = [
            "--unix-socket",
            str(tmp_path / "rest"),
            "--cacert",
            str(tmp_path / "authority.crt"),
        ]
        curl = await asyncio.create_subprocess_exec("curl", "--silent", "--fail", *trusted, url)
        assert 0 == await curl.wait()


async def test_a_replica_that_dies_is_passed_by(tmp_path: Path) -> None:
    """No call of a client that repeats UNAVAILABLE ones fails, while the replica dies or comes back."""
    async with proxied(tmp_path) as here, here.channel("grpc") as channel:
        await infer(channel)
        killed = here.suite.kill("replica-1")
        back = asyncio.create_task(here.suite.wait_until_back("replica-1", killed))
        while not back.done():
            assert 42.0 == await infer(channel)
        assert [42.0] * CALLS == [await infer(channel) for _ in range(CALLS)]


async def test_only_callers_with_a_certificate_reach_the_registry(tmp_path: Path) -> None:
    """Changes are recorded under the certificate's name, whatever the caller says of itself."""
    async with proxied(tmp_path) as here:
        async with here.channel("registry") as channel:
            stub: Any = registry_service_pb2_grpc.RegistryServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.ListModels(registry_service_pb2.ListModelsRequest())
            assert grpc.StatusCode.UNAVAILABLE == caught.value.code()

        async with here.channel("registry", caller="miller") as channel:
            stub = registry_service_pb2_grpc.RegistryServiceStub(channel)
            alias = alias_pb2.Alias(name="models/m/aliases/best", version=1)
            request = registry_service_pb2.UpdateAliasRequest(alias=alias, allow_missing=True)
            await stub.UpdateAlias(
                request, metadata=[("x-headrace-actor", "somebody")], timeout=START_SECONDS
            )
            watch = stub.WatchChanges(registry_service_pb2.WatchChangesRequest(model="models/m"))
            async for change in watch:
                if change.kind == "alias.update":
                    break
            assert "miller" == change.actor
