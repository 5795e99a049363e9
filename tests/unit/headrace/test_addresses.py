"""Addresses: IPv6 in brackets, Unix sockets in odd folders, and proxies of the environment."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from headrace import addresses
from headrace.client import read_client_settings
from headrace.client.call_errors import without_reason
from headrace.errors import Unavailable
from headrace.service.grpc_serving import open_grpc_server
from headrace.settings import SettingsError
from headrace.state.connection import open_redis


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1:1"),
        ("::1", "[::1]:1"),
        ("[::1]", "[::1]:1"),
        ("::", "[::]:1"),
        ("node", "node:1"),
    ],
)
def test_ipv6_hosts_are_joined_with_brackets(host: str, expected: str) -> None:
    """Whether the brackets were typed or not, and what was joined is split again."""
    assert expected == addresses.join(host, 1)
    assert (addresses.bare_host(host), "1") == addresses.split(expected)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:8001",
        "[::1]:8001",
        "node:1",
        "unix:/tmp/s",
        "[fe80::1%eth0]:1",
        "grpcs://node:1",
        "grpc://node:1",
        "https://node",
        "https://[::1]/",
    ],
)
def test_addresses_that_can_be_called(address: str) -> None:
    """There is nothing to say about them."""
    assert "" == addresses.problem(address)


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("::1:8001", r"\[::1\]:8001"),
        ("fe80::1", r"\[fe80::1\]:PORT"),
        ("[::1]", r"\[::1\]:PORT"),
        ("node", "host:port"),
        ("node:http", "host:port"),
        (":8001", "host:port"),
        ("unix:", "unix:PATH"),
        ("http://node:8100/", "leave out http://, and give the gRPC port: node:PORT"),
        ("grpc://node", "host:port"),
        ("grpcs://", "host:port"),
    ],
)
def test_other_addresses_are_refused_with_what_to_write(address: str, advice: str) -> None:
    """IPv6 without brackets is the usual one."""
    with pytest.raises(SettingsError, match=f"registry: '.*' is not an address: .*{advice}"):
        read_client_settings({}, registry=address)


@pytest.mark.parametrize(
    "local", ["127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/s", "127.9.9.9:1"]
)
def test_no_call_to_this_machine_goes_to_a_proxy(local: str) -> None:
    """gRPC would send calls to 127.0.0.1 to the proxy of the environment."""
    assert [addresses.NO_PROXY] == addresses.proxy_options(local)
    assert "" == addresses.proxy_in_the_way(local, {"http_proxy": "http://p:3128"})


def test_other_calls_may_go_to_a_proxy_and_errors_name_it() -> None:
    """With the variable that does it, in gRPC's order, without its password."""
    environ = {"http_proxy": "http://p:1", "https_proxy": "http://me:secret@p:2"}
    assert [] == addresses.proxy_options("node:1")
    assert "https_proxy=http://***@p:2" == addresses.proxy_in_the_way("node:1", environ)
    assert "" == addresses.proxy_in_the_way("node:1", {})
    assert "" == addresses.proxy_in_the_way("a.node:1", {**environ, "no_proxy": "x, .node"})


def test_a_remote_service_that_cannot_be_reached_names_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And says how to go past it."""
    for name in (*addresses.PROXY_VARIABLES, "no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://p:3128")
    refused = Unavailable("UNAVAILABLE", "x: Connection refused")
    told = without_reason(refused, "registry", "node:8100", 1.0).message
    assert "http_proxy=http://p:3128" in told
    assert "no_proxy=node" in told
    assert "proxy" not in without_reason(refused, "registry", "127.0.0.1:1", 1.0).message


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    """A folder whose name has all that URLs give a meaning to."""
    folder = tmp_path / "a b%20#c?d"
    folder.mkdir()
    return folder


async def test_grpc_serves_on_a_socket_in_an_odd_folder(odd_folder: Path) -> None:
    """What is bound is what is called, at the path itself."""
    path = odd_folder / "s"
    target = addresses.unix_target(path)
    async with open_grpc_server(target, [], lambda _: None, drain_seconds=0):
        assert path.is_socket()
        async with grpc.aio.insecure_channel(target) as channel:
            await channel.channel_ready()


async def test_redis_is_reached_over_a_socket_in_an_odd_folder(odd_folder: Path) -> None:
    """The client takes the path out of the URL as it was put in."""
    path = odd_folder / "redis.sock"
    async with open_redis(addresses.unix_url(path)) as client:
        assert str(path) == client.connection_pool.connection_kwargs["path"]


@pytest.mark.parametrize(
    ("address", "over_tls", "over_tls_by_files", "called"),
    [
        ("node:1", False, True, "node:1"),
        ("grpcs://node:1", True, True, "node:1"),
        ("https://node", True, True, "node:443"),
        ("https://[::1]/", True, True, "[::1]:443"),
        ("https://node:8443", True, True, "node:8443"),
        ("grpc://node:1", False, False, "node:1"),
        ("unix:/s", False, False, "unix:/s"),
    ],
)
def test_an_address_says_whether_it_is_called_over_tls(
    address: str, over_tls: bool, over_tls_by_files: bool, called: str
) -> None:
    """What says nothing is called over TLS where there are files of TLS; a Unix socket never is."""
    assert over_tls == addresses.is_over_tls(address, otherwise=False)
    assert over_tls_by_files == addresses.is_over_tls(address, otherwise=True)
    assert called == addresses.without_scheme(address)


@pytest.mark.parametrize(
    "address", ["grpcs://127.0.0.1:1", "https://localhost:1", "grpc://[::1]:1"]
)
def test_a_scheme_changes_nothing_about_which_machine_is_meant(address: str) -> None:
    """Loopback stays loopback."""
    assert addresses.is_local(address)
