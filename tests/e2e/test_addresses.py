"""The suite on IPv6, in odd folders, and where the environment names a proxy that is not there."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import numpy as np
import pytest

from headrace.client import AsyncClient
from tests.e2e.models import scaling
from tests.suite import RunningSuite, running_suite

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain]

NO_SUCH_PROXY = {
    **dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy"), "http://127.0.0.1:9"),
    "no_proxy": "",
}


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback address."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


async def served(suite: RunningSuite, host: str = "") -> list[float]:
    """What a pushed model answers, asked over `host` or as the ready line says."""

    def at(address: str) -> str:
        return f"{host}:{address.rpartition(':')[2]}" if host else address

    async with AsyncClient(registry=at(suite.registry), inference=at(suite.inference)) as client:
        version = await client.push("m", scaling(2))
        await client.wait_until_ready("m", version.number, timeout_seconds=60)
        answer = await client.infer("m", {"x": np.ones((1, 2), np.float32)})
    return [float(value) for value in answer.outputs["y"].ravel()]


def rest_is_ready(address: str) -> bool:
    """Whether REST answers at an address."""
    with build_opener(ProxyHandler({})).open(f"http://{address}/v2/health/ready") as answer:
        return bool(answer.status == 200)


@needs_ipv6
@pytest.mark.parametrize("front", ["native", pytest.param("grpcio", marks=pytest.mark.toolchain)])
async def test_up_listens_on_the_ipv6_loopback(tmp_path: Path, front: str) -> None:
    """Every address that it shows has brackets, and answers."""
    async with running_suite(tmp_path, extra=["--host=::1", f"--front={front}"]) as suite:
        shown = [suite.registry, suite.monitor, *suite.ready["inference"][0].values()][:-1]
        assert all(address.startswith("[::1]:") for address in shown)
        assert [2.0, 2.0] == await served(suite)
        assert rest_is_ready(suite.ready["inference"][0]["http"])


@needs_ipv6
async def test_up_on_all_ipv6_addresses_serves_ipv4_too(tmp_path: Path) -> None:
    """gRPC and REST alike, as dual-stack clusters want."""
    async with running_suite(tmp_path, extra=["--host=::"]) as suite:
        assert [2.0, 2.0] == await served(suite, "127.0.0.1")
        port = suite.ready["inference"][0]["http"].rpartition(":")[2]
        assert suite.ready["inference"][0]["http"] == f"[::]:{port}"
        assert rest_is_ready(f"127.0.0.1:{port}")
        assert rest_is_ready(f"[::1]:{port}")


async def test_odd_folders_and_a_proxy_in_the_environment_keep_nothing_from_serving(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sockets, artifacts and prepared graphs lie in folders with spaces, %, # and ?; no proxy is asked."""
    with tempfile.TemporaryDirectory(prefix="a b%20#c?d ") as folder:
        monkeypatch.setattr(
            tempfile, "tempdir", folder
        )  # where the suite's leftovers are looked for
        environ = {**NO_SUCH_PROXY, "TMPDIR": folder}
        async with running_suite(Path(folder), environ=environ) as suite:
            assert [2.0, 2.0] == await served(suite)
            assert rest_is_ready(suite.ready["inference"][0]["http"])
            assert [] != list((suite.data / "replica-0" / "artifacts" / "versions").iterdir())
