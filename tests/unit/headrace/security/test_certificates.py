"""Whose a certificate is, and what is believed of what a gateway forwards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.security.access import Access
from headrace.security.certificates import RuledCertificates, forwarded_certificate
from headrace.security.credentials import Credentials, PeerCertificate
from headrace.security.identity_file import CertificateRules

GATEWAY = "spiffe://headrace/gateway"
RULES = CertificateRules(
    trust_domains=("headrace", "example.org"),
    hosts={"worker.example": "batch", "old-worker.example": "batch", "other.example": "other"},
    gateways=(GATEWAY, "gateway.internal"),
)
NAMES = RuledCertificates(RULES)
ALICE = "spiffe://headrace/ns/ml/sa/alice"


def subject(*uris: str, hosts: tuple[str, ...] = ()) -> str:
    """Whose a certificate with these names is; '' for nobody's."""
    identity = NAMES.identity_of(PeerCertificate(uris, hosts))
    return identity.subject if identity else ""


@pytest.mark.parametrize(
    ("uris", "hosts", "expected"),
    [
        ((ALICE,), (), ALICE),
        ((ALICE, "https://alice.example"), ("worker.example",), ALICE),
        ((), ("Worker.Example",), "batch"),
        ((), ("worker.example", "old-worker.example", "unknown"), "batch"),
        ((), ("worker.example", "other.example"), ""),
        ((ALICE, "spiffe://headrace/ns/ml/sa/bob"), (), ""),
        (("spiffe://elsewhere/alice",), (), ""),
        (("spiffe://headrace.evil.org/alice",), (), ""),
        (("spiffe://headrace@evil.org/alice",), (), ""),
        (("SPIFFE://headrace/alice",), (), ""),
        (("spiffe://headrace",), (), ""),
        (("spiffe://headrace/a/../admin",), (), ""),
        (("spiffe://headrace//admin",), (), ""),
        (("spiffe://headrace/alice?x",), (), ""),
        (("spiffe://headrace/" + "a" * 600,), (), ""),
        ((), (ALICE,), ""),
        (("worker.example",), (), ""),
        ((), (), ""),
    ],
)
def test_a_name_means_somebody_or_nobody(
    uris: tuple[str, ...], hosts: tuple[str, ...], expected: str
) -> None:
    """A URI of a trusted domain as it is, a host's name as it is mapped; what is ambiguous is nobody's."""
    assert subject(*uris, hosts=hosts) == expected


def test_gateways_are_known_by_the_kind_of_their_names() -> None:
    """A host's name cannot pose as a URI."""
    assert NAMES.is_gateway(PeerCertificate((GATEWAY,)))
    assert NAMES.is_gateway(PeerCertificate((), ("gateway.internal",)))
    assert not NAMES.is_gateway(PeerCertificate((), (GATEWAY,)))
    assert not NAMES.is_gateway(PeerCertificate(("gateway.internal",)))
    assert not RuledCertificates(CertificateRules()).is_gateway(PeerCertificate((GATEWAY,)))


@pytest.mark.parametrize(
    ("header", "uris", "hosts"),
    [
        (f'Hash=ab12;Subject="CN=bob";URI={ALICE};DNS=bob', (ALICE,), ("bob",)),
        (f"By=spiffe://headrace/gateway;URI={ALICE}", (ALICE,), ()),
        (f"URI=spiffe://headrace/forged,Hash=x;URI={ALICE}", (ALICE,), ()),
        (f"URI=spiffe://headrace/forged, Hash=x;URI={ALICE}", (ALICE,), ()),
        (f'Subject="CN=\\",URI=spiffe://headrace/x";URI={ALICE}', (ALICE,), ()),
        (f'Subject="CN=a\\\\";URI={ALICE}', (ALICE,), ()),
        (f"DNS=a;DNS=b;URI={ALICE}", (ALICE,), ("a", "b")),
    ],
)
def test_the_last_hop_is_read(header: str, uris: tuple[str, ...], hosts: tuple[str, ...]) -> None:
    """Elements before it may be of anybody; quoted texts hide nothing."""
    assert forwarded_certificate(header) == PeerCertificate(uris, hosts)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Hash=ab",
        "URI",
        "URI=",
        f"URI={ALICE},",
        f"URI={ALICE};",
        f"URI={ALICE},garbage",
        f'URI={ALICE};Subject="CN=bob',
        f'URI="{ALICE}"x',
        f"URI={ALICE}=x",
        f";URI={ALICE}",
        f"URI={ALICE};" * 100 + "DNS=a",
        f"URI={ALICE};Cert=" + "a" * 20_000,
    ],
)
def test_what_is_malformed_is_not_believed(header: str) -> None:
    """Not in part, either."""
    assert forwarded_certificate(header) is None


@given(header=st.text(alphabet='URIDNS=",;\\ a', max_size=40))
def test_no_header_is_a_bug(header: str) -> None:
    """Whatever comes is a certificate or none."""
    forwarded_certificate(header)


def test_what_is_forwarded_counts_from_gateways_alone() -> None:
    """Whoever is none is who his own certificate says, whatever he forwards."""
    access = Access(certificates=NAMES)
    forwarded = f"URI={ALICE}"
    of_gateway = Credentials("", PeerCertificate((GATEWAY,)), forwarded)
    assert access.identify(of_gateway).subject == ALICE
    bob = "spiffe://headrace/ns/ml/sa/bob"
    of_bob = Credentials("", PeerCertificate((bob,)), forwarded)
    assert access.identify(of_bob).subject == bob
    assert not access.identify(Credentials("", None, forwarded)).is_known
    assert not access.identify(Credentials("", PeerCertificate((GATEWAY,)))).is_known
