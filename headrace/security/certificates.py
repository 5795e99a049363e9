"""Makes subjects of the names in verified certificates, and reads what gateways forward of others'.

A URI and a host's name are told apart by their kind in the certificate, never by their text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from headrace.security.credentials import PeerCertificate
from headrace.security.identities import Identity, Proof
from headrace.security.identity_file import CertificateRules

_SPIFFE = re.compile(r"spiffe://([a-z0-9._-]{1,255})((?:/[A-Za-z0-9._-]+)+)")
_MAX_URI = 512
_MAX_FORWARDED = 16 * 1024
_MAX_PAIRS = 64

_PAIR = re.compile(r'(?P<key>[A-Za-z]+)=(?:"(?P<quoted>(?:[^"\\]|\\["\\])*)"|(?P<plain>[^",;=]*))')
_ESCAPED = re.compile(r'\\(["\\])')


class RuledCertificates:
    """Knows certificates by the rules of the identity file."""

    def __init__(self, rules: CertificateRules) -> None:
        self._domains = frozenset(rules.trust_domains)
        self._hosts = dict(rules.hosts)
        self._gateway_uris = frozenset(name for name in rules.gateways if "://" in name)
        self._gateway_hosts = frozenset(
            name.lower() for name in rules.gateways if "://" not in name
        )

    def identity_of(self, certificate: PeerCertificate) -> Identity | None:
        """Return whose certificate it is; None where its names mean nothing here, or several things."""
        subjects = {uri: uri for uri in certificate.uris if self._is_trusted(uri)}
        if not subjects:
            named = ((host.lower(), self._hosts.get(host.lower())) for host in certificate.hosts)
            subjects = {subject: host for host, subject in named if subject}
        if len(subjects) != 1:
            return None
        ((subject, name),) = subjects.items()
        return Identity(subject, Proof.CERTIFICATE, name, (), certificate.expires_at)

    def _is_trusted(self, uri: str) -> bool:
        match = _SPIFFE.fullmatch(uri) if len(uri) <= _MAX_URI else None
        if match is None or match[1] not in self._domains:
            return False
        return not {".", ".."} & set(match[2].split("/"))

    def is_gateway(self, certificate: PeerCertificate) -> bool:
        """Return whether what its holder says of others' certificates is believed."""
        hosts = {host.lower() for host in certificate.hosts}
        return not (
            self._gateway_uris.isdisjoint(certificate.uris)
            and self._gateway_hosts.isdisjoint(hosts)
        )

    def forwarded(self, header: str) -> PeerCertificate | None:
        """Return the certificate that a gateway tells of; None where there was none."""
        return forwarded_certificate(header)


def forwarded_certificate(header: str) -> PeerCertificate | None:
    """Return what the last element of `x-forwarded-client-cert` says, which the gateway itself added.

    None where it says nothing, and where any of it is malformed: then nothing in it is believed.
    """
    if len(header) > _MAX_FORWARDED:
        return None
    elements = list(_elements(header))
    if not elements or elements[-1] is None:
        return None
    last = elements[-1]
    uris = tuple(value for key, value in last if key == "uri" and value)
    hosts = tuple(value for key, value in last if key == "dns" and value)
    return PeerCertificate(uris, hosts) if uris or hosts else None


def _elements(header: str) -> Iterator[list[tuple[str, str]] | None]:
    """The elements, each as its pairs; the last one is None where the text breaks off from the form."""
    position, element, count = 0, list[tuple[str, str]](), 0
    while True:
        match = _PAIR.match(header, position)
        count += 1
        if match is None or count > _MAX_PAIRS:
            yield None
            return
        quoted = match["quoted"]
        value = match["plain"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
        element.append((match["key"].lower(), value))
        position = match.end()
        if position == len(header):
            yield element
            return
        if header[position] == ",":
            yield element
            element = []
        elif header[position] != ";":
            yield None
            return
        position += 1
        if header[position - 1] == ",":  # proxies put a space between elements that they join
            position += len(header[position:]) - len(header[position:].lstrip(" "))
