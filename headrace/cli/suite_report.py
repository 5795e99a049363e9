"""Tells whoever started a suite where all is, and what to do next."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from headrace.cli import output

if TYPE_CHECKING:
    from headrace.local.commands import SuiteOptions


async def tell(wanted: SuiteOptions, where: dict[str, Any], *, as_json: bool) -> None:
    """Print it, for people or as one line of JSON."""
    with output.quiet_when_nobody_reads():
        (_print_json if as_json else _print_addresses)(wanted, where)


def _print_json(_: SuiteOptions, where: dict[str, Any]) -> None:
    print(json.dumps(where), flush=True)


def _print_addresses(wanted: SuiteOptions, where: dict[str, Any]) -> None:
    rpc, web = ("grpcs://", "https") if where["tls"] else ("", "http")
    lines = [
        "Headrace is up.",
        f"  registry   {rpc}{where['registry']}   {web}://{where['registry_http']}/readyz",
        f"  monitor    {rpc}{where['monitor']}   {web}://{where['monitor_http']}/",
        *(_by_gateway(where) or _shared(where, rpc, web)),
        *(
            f"  replica-{index}  {_url(rpc, replica['grpc'])}   {_url(f'{web}://', replica['http'])}"
            f"   metrics {web}://{replica['metrics']}/metrics"
            for index, replica in enumerate(where["inference"])
        ),
        f"  redis      {where['redis_url']}",
        f"  data       {wanted.data}",
        *_how_to_prove(wanted),
        *_how_to_reach(where),
        "Next, elsewhere: headrace push NAME model.onnx --wait",
        "           then: headrace infer NAME VALUE     (Ctrl-C here stops all)",
    ]
    print("\n".join(lines), flush=True)


def _url(scheme: str, address: str) -> str:
    return address if address.startswith("unix:") else f"{scheme}{address}"


def _by_gateway(where: dict[str, Any]) -> list[str]:
    """Return where callers come, if they come by a gateway."""
    gateway = where["gateway"]
    if not gateway:
        return []
    gateway = f"https://{gateway}" if where["tls"] else gateway
    metrics = f"http://{where['gateway_http']}/metrics"
    return [f"  gateway    {gateway}   gRPC, gRPC-Web, REST and the console   metrics {metrics}"]


def _shared(where: dict[str, Any], rpc: str, web: str) -> list[str]:
    """Return where all replicas are called, if there are several."""
    shared = where["shared"]
    if len(where["inference"]) < 2:
        return []
    metrics = f"metrics {web}://{shared['metrics']}/metrics"
    return [f"  replicas   {rpc}{shared['grpc']}   {web}://{shared['http']}   {metrics}"]


def _how_to_prove(wanted: SuiteOptions) -> list[str]:
    """Return how to get a key, where callers have to have one."""
    if wanted.access is None:
        return []
    if wanted.access.admin_key_file:
        return [f"  auth       on; the admin's key: --token-file {wanted.access.admin_key_file}"]
    first = f"headrace keys create NAME --admin --data {wanted.data} > admin.key"
    return [f"  auth       on; an admin's key, if there is none yet: {first}"]


def _how_to_reach(where: dict[str, Any]) -> list[str]:
    """Return what to tell other commands, if they do not try these addresses by themselves."""
    from headrace.client.settings import ClientSettings

    inference = where["shared"].get("grpc", "")
    actual = {**where, "inference": inference}
    usual = ClientSettings()
    names = usual.addresses()
    tls: dict[str, str] | None = where["tls"]
    by_system = tls is not None and not tls["ca"]
    scheme = "grpcs://" if by_system else ""
    other = {
        name: f"{scheme}{actual[name]}"
        for name in names
        if actual[name] and (by_system or actual[name] != getattr(usual, name))
    }
    other |= {f"tls_{name}": value for name, value in (tls or {}).items() if value}
    settings = [f"HEADRACE_{name.upper()}={shlex.quote(value)}" for name, value in other.items()]
    return [f"export {' '.join(settings)}"] if settings else []
