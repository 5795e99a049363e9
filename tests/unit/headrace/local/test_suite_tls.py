"""TLS of a suite: tried before anything starts, and handed on to its services."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headrace.errors import FailedPrecondition
from headrace.local.commands import SuiteOptions, monitor_command, registry_command, replica_command
from headrace.local.front import check_front
from headrace.local.gateway_child import GatewayOptions
from headrace.local.suite import Suite
from headrace.local.suite_tls import SuiteTls
from headrace.tls.authority import Names
from tests.tls_files import ALICE, Pair, TlsFolder, tls_folder
from tests.unit.headrace.local.test_commands import PEERS, flags


def _suite(folder: TlsFolder, pair: Pair) -> SuiteTls:
    return SuiteTls(pair.certificate, pair.key, folder.ca)


def test_services_call_one_another_by_a_name_of_the_certificate(tmp_path: Path) -> None:
    """They are on this machine, whose address a certificate from elsewhere does not have."""
    folder = tls_folder(tmp_path)
    named = folder.pair("named", Names(["suite.example"]), serves=True)
    anyhow = folder.pair("any", Names(["*.suite.example"]), serves=True)
    assert "suite.example" == _suite(folder, named).rehearsed_at("127.0.0.1").name
    assert "headrace.suite.example" == _suite(folder, anyhow).rehearsed_at("127.0.0.1").name
    assert "" == _suite(folder, folder.server()).rehearsed_at("0.0.0.0").name
    both = folder.pair("both", Names(["suite.example"], ["::1"]), serves=True)
    assert "" == _suite(folder, both).rehearsed_at("[::1]").name


def test_a_suite_that_could_not_call_itself_does_not_start(tmp_path: Path) -> None:
    """Of another authority, not for servers, without a host's name, and not for clients either."""
    folder, other = tls_folder(tmp_path), tls_folder(tmp_path, "other")
    server = folder.server()
    nameless = folder.pair("nameless", Names((), (), ["spiffe://a/b"]), serves=True)
    rows = [
        (replace(_suite(folder, server), authorities=other.ca), "unable to get local issuer"),
        (_suite(folder, folder.pair("alice", ALICE)), "purpose"),
        (_suite(folder, nameless), "name of any host"),
        (
            SuiteTls(server.certificate, server.key, folder.ca, other.ca, "required"),
            "would not believe one another",
        ),
        (replace(_suite(folder, server), authorities=None), "unable to get local issuer"),
    ]
    for tls, text in rows:
        with pytest.raises(FailedPrecondition, match=text) as refused:
            tls.rehearsed_at("127.0.0.1")
        assert "TLS_FILES_INVALID" == refused.value.reason


def test_services_get_the_files_and_call_over_tls() -> None:
    """All show the certificate; who calls another trusts its authority, and shows it where asked."""
    pair, ca = {"tls-cert": "c", "tls-key": "k"}, Path("a")
    tls = SuiteTls(Path("c"), Path("k"), ca, name="suite.example")
    options = SuiteOptions(Path(), tls=tls)
    peers = {"peer-tls-ca": "a", "peer-tls-name": "suite.example"}
    assert pair.items() <= flags(registry_command(options, {})).items()
    assert (pair | peers).items() <= flags(monitor_command(options, {})).items()
    replica = flags(replica_command(options, 0, "id", PEERS, {}))
    called = {"registry-address": "grpcs://127.0.0.1:8100"}
    assert (pair | peers | called).items() <= replica.items()
    mutual = replace(options, tls=SuiteTls(Path("c"), Path("k"), ca, ca, "required"))
    shown = {"peer-tls-cert": "c", "peer-tls-key": "k", "tls-client-auth": "required"}
    assert shown.items() <= flags(replica_command(mutual, 0, "id", PEERS, {})).items()


async def test_the_native_front_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """Where it would need TLS; behind a gateway, or without replicas, it does not."""
    folder = tls_folder(tmp_path)
    data = tmp_path / "data"
    options = SuiteOptions(data, front="native", tls=_suite(folder, folder.server()))
    with pytest.raises(FailedPrecondition, match=r"--gateway.*auto or grpcio") as refused:
        async with Suite(options.with_free_ports()).running():
            pass
    assert ("FRONT_UNAVAILABLE", False) == (refused.value.reason, data.exists())
    check_front(replace(options, gateway=GatewayOptions(0)))
    check_front(replace(options, front="auto"))
    check_front(replace(options, tls=None))
    check_front(replace(options, replicas=0))
