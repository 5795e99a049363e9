"""A suite that asks who calls, behind its gateway: certificates of callers, keys, and who changed what."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace import AsyncClient, HeadraceError
from headrace.client import ClientSettings
from tests.e2e.models import scaling
from tests.e2e.traffic import push
from tests.gateway.envoy import needs_envoy
from tests.gateway.fixtures import Certificates
from tests.suite import RunningSuite, running_suite

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain, needs_envoy]
ALICE = "spiffe://headrace/ns/ml/sa/alice"
X = {"x": np.ones((1, 2), np.float32)}


async def reason(client: AsyncClient) -> str:
    """OK, or why a call is refused."""
    try:
        await client.infer("scale", X, timeout_seconds=10)
    except HeadraceError as error:
        return error.reason
    return "OK"


def cli(suite: RunningSuite, ca: Path, key: Path, *arguments: str) -> str:
    """Run a command as the admin, through the gateway; what it prints."""
    edge = f"localhost:{suite.inference.rpartition(':')[2]}"
    options = [f"--registry={edge}", f"--tls-ca={ca}", f"--token-file={key}"]
    command = [sys.executable, "-m", "headrace.cli", *arguments, *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


async def test_who_shows_a_certificate_at_the_gateway_is_who_replicas_take_him_for(
    tmp_path: Path,
) -> None:
    """Granted he infers, over both fronts; without a certificate nobody does, whatever headers say."""
    ours = Certificates.make(tmp_path / "pki")
    (cert, key), (alice, alice_key) = (
        ours.write(ours.server(), "server"),
        ours.write(ours.caller(ALICE), "alice"),
    )
    settings, rules, admin = (tmp_path / name for name in ("gw.toml", "id.toml", "admin.key"))
    settings.write_text(
        f'tls_cert = "{cert}"\ntls_key = "{key}"\ntls_client_ca = "{ours.ca}"\n'
        'tls_client_auth = "optional"\n'
    )
    rules.write_text('[certificates]\ntrust_domains = ["headrace"]\n')
    extra = ["--gateway", f"--gateway-settings={settings}", "--auth"]
    extra += [f"--identity-file={rules}", f"--admin-key-file={admin}"]
    async with running_suite(tmp_path / "data", replicas=2, extra=extra) as suite:
        edge = f"localhost:{suite.inference.rpartition(':')[2]}"

        def client(**more: Any) -> AsyncClient:
            settings = ClientSettings(registry=edge, inference=edge, tls_ca=ours.ca)
            return AsyncClient(settings=replace(settings, **more))

        async with client(token_file=admin) as owner:
            await push(owner, "scale", scaling(2.0))
        async with client() as nobody, client(tls_cert=alice, tls_key=alice_key) as caller:
            before = [await reason(nobody), await reason(caller)]
            await asyncio.to_thread(
                cli, suite, ours.ca, admin, "grant", ALICE, "caller", "--models=scale"
            )
            async with asyncio.timeout(10):
                while await reason(caller) != "OK":  # noqa: ASYNC110 - replicas follow
                    await asyncio.sleep(0.05)
            after = await reason(nobody)
        changes = await asyncio.to_thread(cli, suite, ours.ca, admin, "audit", "--json")
    assert ["CREDENTIALS_MISSING", "PERMISSION_DENIED"] == before
    assert "CREDENTIALS_MISSING" == after
    peers = set(re.findall(r'"peer": ?"([^"]*)"', changes))
    # Whom the gateway saw, and not its socket; it writes a caller of this machine by the machine's address.
    assert [True] == list({peer.startswith(("ipv4:", "ipv6:")) for peer in peers if peer}), peers
