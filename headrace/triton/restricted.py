"""Triton's restricted protocols as identities and grants: what its server's flags say of keys."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.errors import InvalidArgument

GRPC_FLAG, HTTP_FLAG = "--grpc-restricted-protocol", "--http-restricted-api"
GRPC_PREFIX = "triton-grpc-protocol-"

_VERBS = {
    "inference": "infer",
    "infer": "infer",
    "metadata": "read",
    "model-config": "read",
    "statistics": "read",
    "health": "",
    "model-repository": "admin",
    "shared-memory": "admin",
    "trace": "admin",
    "logging": "admin",
}
"""What a protocol takes here; nothing for health, which is always open."""

_NOT_A_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Restriction:
    """One flag: whose protocols, and the header with the value that opens them."""

    protocols: tuple[str, ...]
    header: str
    value: str

    @property
    def verbs(self) -> frozenset[str]:
        """The rights that the protocols take here."""
        return frozenset(filter(None, (_VERBS[protocol] for protocol in self.protocols)))


@dataclass(frozen=True, slots=True)
class Access:
    """The same here: lines of the identity file, commands that grant, and what does not carry over."""

    identity_file: str
    commands: tuple[str, ...]
    remarks: tuple[str, ...]


def restrictions_in(text: str) -> list[Restriction]:
    """The restrictions in a server's command line. Raises InvalidArgument (TRITON_FLAG_MALFORMED)."""
    return [_restriction(flag, value) for flag, value in _flags(text)]


def _flags(text: str) -> Iterator[tuple[str, str]]:
    try:
        words = iter(shlex.split(text, comments=True))
    except ValueError as error:
        raise _malformed(text[:80], str(error)) from None
    for word in words:
        flag, separator, value = word.strip("[],").partition("=")
        if flag in (GRPC_FLAG, HTTP_FLAG):
            yield flag, value if separator else next(words, "")


def _restriction(flag: str, value: str) -> Restriction:
    listed, _, key = value.partition(":")
    header, separator, secret = key.partition("=")
    protocols = tuple(part.strip() for part in listed.split(",") if part.strip())
    if not (protocols and header and separator and secret):
        raise _malformed(flag, "it has the form PROTOCOL,PROTOCOL:KEY=VALUE")
    unknown = sorted(set(protocols) - set(_VERBS))
    if unknown:
        raise _malformed(flag, f"{', '.join(unknown)}: protocols are {', '.join(sorted(_VERBS))}")
    prefix = GRPC_PREFIX if flag == GRPC_FLAG else ""
    return Restriction(protocols, (prefix + header).lower(), secret)


def access_of(restrictions: list[Restriction]) -> Access:
    """The same here: what is not restricted is for everybody, the rest for whoever brings the key.

    A right that one of its protocols restricts is restricted as a whole.
    """
    keys: dict[str, list[Restriction]] = {}
    for each in restrictions:
        keys.setdefault(each.value, []).append(each)
    closed = {verb for each in restrictions for verb in each.verbs}
    public = sorted({"infer", "read"} - closed)
    lines, commands, remarks = list[str](), list[str](), list[str]()
    if public:
        commands += [_role("triton-public", public), "headrace grant anonymous triton-public"]
    for value, parts in keys.items():
        name = _name_of(parts[0].header)
        opened = sorted({verb for part in parts for verb in part.verbs} - {"admin"} | {*public})
        lines += _rule(name, sorted({part.header for part in parts}), value)
        if opened:
            commands += [
                _role(f"triton-{name}", opened),
                f"headrace grant header:{name} triton-{name}",
            ]
        if any("admin" in part.verbs for part in parts):
            remarks.append(
                f"header:{name} opened model-repository, shared-memory, trace or logging. They take the "
                "right admin here, with which keys and grants are changed, too: where you mean that, "
                f"headrace grant header:{name} admin"
            )
    if any("health" in each.protocols for each in restrictions):
        remarks.append("health is open to everybody here")
    return Access("\n".join(lines), tuple(dict.fromkeys(commands)), tuple(remarks))


def _name_of(header: str) -> str:
    return _NOT_A_NAME.sub("-", header.removeprefix(GRPC_PREFIX)).strip("-") or "key"


def _role(name: str, verbs: list[str]) -> str:
    return f"headrace roles set {name} {','.join(verbs)}"


def _rule(name: str, headers: list[str], value: str) -> list[str]:
    listed = ", ".join(f'"{header}"' for header in headers)
    return [
        "[[header_keys]]",
        f'name = "{name}"',
        f"headers = [{listed}]",
        f'sha256 = "{hashlib.sha256(value.encode()).hexdigest()}"',
        "",
    ]


def _malformed(flag: str, why: str) -> InvalidArgument:
    return InvalidArgument("TRITON_FLAG_MALFORMED", f"{flag} cannot be read: {why}")
