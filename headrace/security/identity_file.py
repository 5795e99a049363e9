"""The identity file: whose tokens and certificates are believed, and what their holders are called here."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from headrace import errors
from headrace.security.header_keys import SUBJECT_PREFIX, HeaderKey
from headrace.security.identities import ANONYMOUS
from headrace.security.regular_files import read_regular_file

ALGORITHMS = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
"""Those whose keys are public: a key that verifies cannot sign."""

_SCHEMES = ("spiffe", "unix")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_PLAIN_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}")
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEADER = re.compile(r"[a-z0-9]([a-z0-9_-]{0,126}[a-z0-9])?")
_RESERVED = re.compile(
    r"(authorization|cookie|host|te|user-agent|accept.*|content-.*|grpc-.*|x-forwarded-.*|x-headrace-.*"
    r"|x-request-id|traceparent|inference-header-content-length|.*-bin)$"
)
_MAX_FILE_BYTES = 2**20

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Issuer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An issuer of JWTs. Its subjects are `NAME:SUBJECT`, its groups `NAME:group:GROUP`."""

    name: str
    issuer: Text
    """The claim `iss`, letter by letter."""
    audiences: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)]
    """One of these has to be in the claim `aud`."""
    jwks: Text
    """A file, relative to the identity file's folder, or an https:// URL."""
    algorithms: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] = ("RS256", "ES256")
    subject_claim: Text = "sub"
    groups_claim: str = ""
    max_lifetime_seconds: Seconds = 0.0
    """The longest time from `iat` to `exp`; 0: any."""
    jwks_ca: str = ""
    """The authorities to trust for the URL; without them the system's are."""
    jwks_token_file: str = ""
    """A token that the URL wants, as Kubernetes' does."""

    @property
    def is_remote(self) -> bool:
        """Return whether the keys come from a URL."""
        return "://" in self.jwks


class CertificateRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose certificates are believed. Without trust domains and hosts none says who calls."""

    trust_domains: tuple[str, ...] = ()
    """A certificate's `spiffe://DOMAIN/…` of one of these is its holder's subject."""
    hosts: Mapping[str, str] = {}
    """The subjects of certificates without such a URI, by a host's name in them."""
    gateways: tuple[str, ...] = ()
    """Names (`spiffe://…` or a host's) of gateways, which are believed what they forward."""


class HeaderKeyRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A key in a header of its own, as clients of Triton's restricted protocols bring it.

    Its holder is `header:NAME`.
    """

    name: str
    headers: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    """In lower case; Triton's for gRPC begin with triton-grpc-protocol-."""
    sha256: str
    """Of the value, in hex: `printf %s VALUE | sha256sum`."""

    def as_key(self) -> HeaderKey:
        """It as it is looked for."""
        return HeaderKey(self.name, self.headers, self.sha256)


class IdentityRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that the identity file says."""

    issuers: tuple[Issuer, ...] = ()
    certificates: CertificateRules = CertificateRules()
    header_keys: tuple[HeaderKeyRule, ...] = ()


def read_identity_file(path: Path) -> IdentityRules:
    """Read it. Raises FailedPrecondition (IDENTITY_FILE_INVALID) with all that is wrong."""
    try:
        data = read_regular_file(path, _MAX_FILE_BYTES)
        if len(data) > _MAX_FILE_BYTES:
            raise _invalid(path, f"it has more than {_MAX_FILE_BYTES} bytes")
        rules = parse_identity_rules(data.decode())
    except OSError as error:
        raise _invalid(path, f"it cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:  # msgspec.ValidationError is a ValueError
        raise _invalid(path, str(error)) from error
    return _with_paths(rules, path.parent)


def parse_identity_rules(text: str) -> IdentityRules:
    """Return what a file says. Raises ValueError, msgspec.ValidationError, which name the key."""
    rules = msgspec.convert(tomllib.loads(text), IdentityRules)
    if wrong := [*_problems(rules)]:
        raise ValueError("; ".join(wrong))
    return rules


def _problems(rules: IdentityRules) -> Iterator[str]:
    for name in _repeated(issuer.name for issuer in rules.issuers):
        yield f"two issuers have the name {name!r}"
    for issuer in _repeated(issuer.issuer for issuer in rules.issuers):
        yield f"two issuers are {issuer!r}"
    for each in rules.issuers:
        yield from (f"issuers.{each.name}: {wrong}" for wrong in _problems_of_issuer(each))
    yield from _problems_of_header_keys(rules.header_keys)
    certificates = rules.certificates
    for domain in certificates.trust_domains:
        if not _TRUST_DOMAIN.fullmatch(domain):
            yield f"certificates.trust_domains: {domain!r} is no trust domain, such as 'example.org'"
    for host, subject in certificates.hosts.items():
        if not _HOST.fullmatch(host):
            yield f"certificates.hosts: {host!r} is no host's name in lower case"
        if not _PLAIN_SUBJECT.fullmatch(subject) or subject == ANONYMOUS:
            yield f"certificates.hosts: {subject!r} is no subject: letters, digits, '.', '_', '@', '-'"


def _problems_of_header_keys(keys: tuple[HeaderKeyRule, ...]) -> Iterator[str]:
    for header in _repeated(header for key in keys for header in key.headers):
        yield f"header_keys: two keys have the header {header!r}"
    for key in keys:
        where = f"header_keys.{key.name}"
        if not _NAME.fullmatch(key.name):
            yield f"{where}: name has lower-case letters, digits and '-'"
        if not _SHA256.fullmatch(key.sha256):
            yield f"{where}: sha256 has 64 digits of hex in lower case"
        for header in key.headers:
            if not _HEADER.fullmatch(header) or _RESERVED.match(header):
                yield f"{where}: {header!r} is no header for a key: lower case, and not one with a meaning"


def _problems_of_issuer(issuer: Issuer) -> Iterator[str]:
    if issuer.name + ":" == SUBJECT_PREFIX:
        yield f"{issuer.name!r} is what keys in headers are called"
    if not _NAME.fullmatch(issuer.name):
        yield f"name is {issuer.name!r}; it has lower-case letters, digits and '-'"
    if issuer.name in _SCHEMES:  # its users could choose a subject that is another's certificate
        yield f"name is {issuer.name!r}, which begins the subjects of certificates"
    wrong = sorted(set(issuer.algorithms) - ALGORITHMS)
    if wrong:
        yield f"algorithms has {', '.join(wrong)}; allowed are {', '.join(sorted(ALGORITHMS))}"
    if issuer.is_remote and not issuer.jwks.startswith("https://"):
        yield f"jwks is {issuer.jwks!r}; it is a file or an https:// URL"
    if not issuer.is_remote and (issuer.jwks_ca or issuer.jwks_token_file):
        yield "jwks_ca and jwks_token_file are for a URL"


def _repeated(texts: Iterator[str]) -> list[str]:
    return [text for text, count in Counter(texts).items() if count > 1]


def _with_paths(rules: IdentityRules, folder: Path) -> IdentityRules:
    def resolved(path: str) -> str:
        return str(folder / path) if path else ""

    issuers = [
        msgspec.structs.replace(
            issuer,
            jwks=issuer.jwks if issuer.is_remote else resolved(issuer.jwks),
            jwks_ca=resolved(issuer.jwks_ca),
            jwks_token_file=resolved(issuer.jwks_token_file),
        )
        for issuer in rules.issuers
    ]
    return msgspec.structs.replace(rules, issuers=tuple(issuers))


def _invalid(path: Path, why: str) -> errors.FailedPrecondition:
    return errors.FailedPrecondition(
        "IDENTITY_FILE_INVALID",
        f"the identity file {path} cannot be used: {why}",
        facts={"file": str(path)},
    )
