"""Network addresses: `host:port` with IPv6 in brackets, `unix:PATH`, and proxies on the way to them.

`grpcs://host:port` (or `https://`) says that a service is called over TLS, `grpc://host:port` that it is
not.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote

EVERY_INTERFACE: Mapping[str, str] = {
    "0.0.0.0": "127.0.0.1",  # noqa: S104
    "::": "::1",
    "": "127.0.0.1",
}
"""Hosts that stand for all of a machine's addresses, and the loopback address that reaches each."""

PROXY_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
"""The environment variables that gRPC takes a proxy from, in its order."""

NO_PROXY: tuple[str, int] = ("grpc.enable_http_proxy", 0)
"""The channel option of every call inside the suite: gRPC would send them to a proxy of the environment,
calls to 127.0.0.1 too."""

_OVER_TLS = ("grpcs://", "https://")
_IN_PLAINTEXT = "grpc://"
_HTTPS_PORT = 443

_PORT = re.compile(r"\d{1,5}")


def join(host: str, port: int) -> str:
    """`host:port`, with an IPv6 host in brackets."""
    host = bare_host(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_over_tls(address: str, *, otherwise: bool) -> bool:
    """Return whether a service is called over TLS there; `otherwise` where its address does not say."""
    if address.startswith(_OVER_TLS):
        return True
    return otherwise and not address.startswith(("unix:", _IN_PLAINTEXT))


def without_scheme(address: str) -> str:
    """What gRPC calls for an address: `host:port` or `unix:PATH`. Port 443 is that of https by itself."""
    scheme = next((each for each in (*_OVER_TLS, _IN_PLAINTEXT) if address.startswith(each)), "")
    rest = address[len(scheme) :].removesuffix("/") if scheme else address
    has_port = _PORT.fullmatch(rest.rpartition(":")[2]) and not rest.endswith("]")
    return rest if scheme != "https://" or has_port else f"{rest}:{_HTTPS_PORT}"


def split(address: str) -> tuple[str, str]:
    """The host, without brackets, and the port of `host:port`."""
    address = without_scheme(address)
    host, _, port = address.rpartition(":")
    return bare_host(host), port


def bare_host(host: str) -> str:
    """The host without the brackets that IPv6 addresses have beside a port: what sockets take."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def problem(address: str) -> str:
    """Return why this is not an address that can be called, and what to write instead; '' if it is one."""
    if address.startswith("unix:"):
        return "" if len(address) > len("unix:") else "name the socket's path: unix:PATH"
    address = without_scheme(address)
    scheme, separator, rest = address.partition("://")
    if separator:
        where = rest.strip("/").partition("/")[0]
        return f"leave out {scheme}://, and give the gRPC port: {where.partition(':')[0]}:PORT"
    host, separator, port = address.rpartition(":")
    if separator and _PORT.fullmatch(port) and host and (":" not in host or host[0] == "["):
        return ""
    if _is_ipv6(host):  # before the whole, which is an address, too: ::1:8001
        return f"put the IPv6 address in brackets: [{host}]:{port}"
    if _is_ipv6(address):
        return f"put the IPv6 address in brackets and add the port: [{bare_host(address)}]:PORT"
    return "give host:port, with an IPv6 host in brackets"


def reachable(address: str) -> str:
    """The address to call from this machine for one that may stand for every interface."""
    host, port = split(address)
    return join(EVERY_INTERFACE.get(host, host), int(port))


def several(text: str) -> tuple[str, ...]:
    """The addresses of `A,B`, or of gRPC's `ipv4:A,B`."""
    listed = re.sub(r"^ipv[46]:", "", text)
    return tuple(address.strip() for address in listed.split(","))


def is_name(address: str) -> bool:
    """Return whether the host is a name that may stand for several machines."""
    host, _ = split(address)
    return not (address.startswith("unix:") or is_local(address) or is_ip(host.partition("%")[0]))


def is_local(address: str) -> bool:
    """Return whether only this machine can be meant: a Unix socket, or a loopback address."""
    if address.startswith("unix:"):
        return True
    host, _ = split(address)
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def proxy_options(address: str) -> list[tuple[str, int]]:
    """The channel options for a call from outside the suite: no proxy on the way to this machine."""
    return [NO_PROXY] if is_local(address) else []


def proxy_in_the_way(address: str, environ: Mapping[str, str] | None = None) -> str:
    """The variable that sends gRPC calls for this address to a proxy, as `name=value`, or ''.

    The proxy's password is not shown. What `no_proxy` names goes past it, as gRPC reads that.
    """
    environ = os.environ if environ is None else environ
    name = next((name for name in PROXY_VARIABLES if environ.get(name)), None)
    if name is None or is_local(address) or _is_exempt(split(address)[0], environ):
        return ""
    return f"{name}={re.sub(r'//[^/@]*@', '//***@', environ[name])}"


def unix_target(path: Path) -> str:
    """The gRPC address of a Unix socket, whatever characters its path has."""
    return "unix:" + quote(str(path))


def unix_path(target: str) -> str:
    """The path of a Unix socket in such an address."""
    return unquote(target.removeprefix("unix:"))


def unix_url(path: Path) -> str:
    """The `unix://` URL of a Redis server's socket, whatever characters its path has."""
    return "unix://" + quote(str(path))


def listening_socket(
    host: str, port: int, backlog: int, *, shares_port: bool = False
) -> socket.socket | None:
    """A socket for every IPv6 and IPv4 address, where `host` is `::`; None for any other host.

    asyncio's own would take IPv6 alone, while gRPC's takes both. Raises OSError.
    """
    if bare_host(host) != "::" or not socket.has_dualstack_ipv6():
        return None
    return socket.create_server(
        ("::", port),
        family=socket.AF_INET6,
        backlog=backlog,
        reuse_port=shares_port,
        dualstack_ipv6=True,
    )


def is_ip(text: str) -> bool:
    """Return whether a text is an IP address, of either version."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.ip_address(bare_host(text)).version == 6
    except ValueError:
        return False


def _is_exempt(host: str, environ: Mapping[str, str]) -> bool:
    listed = environ.get("no_grpc_proxy") or environ.get("no_proxy") or ""
    suffixes = [entry.strip() for entry in listed.split(",") if entry.strip()]
    return any(host.endswith(suffix) for suffix in suffixes)
