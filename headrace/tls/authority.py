"""A private authority and the certificates that it signs, for trials and tests: keys of P-256, in PEM."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from headrace import errors

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError as missing:
    raise errors.FailedPrecondition(
        "CERTIFICATES_UNAVAILABLE",
        "making certificates needs the package cryptography: pip install 'headrace[security]'",
    ) from missing

_BACKDATED = timedelta(minutes=5)
"""Clocks of callers may be late."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names in a certificate; the first says what it is called."""

    dns: Sequence[str] = ()
    ips: Sequence[str] = ()
    uris: Sequence[str] = ()

    def all(self) -> list[str]:
        """All of them, in order."""
        return [*self.uris, *self.dns, *self.ips]


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, in PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


class Authority:
    """A private authority: it signs certificates that whoever trusts it believes."""

    def __init__(self, issued: Issued) -> None:
        """Take one that was made before. Raises ValueError where it is none."""
        self.issued = issued
        self._certificate = x509.load_pem_x509_certificate(issued.certificate)
        key = serialization.load_pem_private_key(issued.key, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("its key is not one of an elliptic curve")  # noqa: TRY004 - it is read
        self._key = key

    @classmethod
    def create(cls, name: str, lifetime: timedelta) -> Authority:
        """Make a new one."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(name)
        builder = (
            _builder(subject, subject, key.public_key(), lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        )
        return cls(_issued(builder.sign(key, hashes.SHA256()), key))

    def issue(self, names: Names, lifetime: timedelta, *, serves: bool) -> Issued:
        """Make a certificate for a client, and with `serves` for a server, which may call others, too.

        Raises ValueError for names that a certificate cannot have.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if serves:
            purposes.insert(0, ExtendedKeyUsageOID.SERVER_AUTH)
        builder = (
            self._builder_for(names, key, lifetime)
            .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        return _issued(builder.sign(self._key, hashes.SHA256()), key)

    def _builder_for(
        self, names: Names, key: ec.EllipticCurvePrivateKey, lifetime: timedelta
    ) -> x509.CertificateBuilder:
        """None outlives its authority."""
        issuer = self._certificate
        left = issuer.not_valid_after_utc - datetime.now(UTC)
        subject = _subject(names.all()[0])
        return _builder(subject, issuer.subject, key.public_key(), min(lifetime, left))


def names_of(certificate: bytes) -> tuple[Names, bool]:
    """The names in a certificate in PEM, and whether it is for a server. Raises ValueError."""
    extensions = x509.load_pem_x509_certificate(certificate).extensions
    try:
        found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound as error:
        raise ValueError("it has no names, or no purpose") from error
    names = Names(
        found.get_values_for_type(x509.DNSName),
        [str(address) for address in found.get_values_for_type(x509.IPAddress)],
        found.get_values_for_type(x509.UniformResourceIdentifier),
    )
    return names, ExtendedKeyUsageOID.SERVER_AUTH in purposes


def _general_names(names: Names) -> list[x509.GeneralName]:
    return [
        *(x509.UniformResourceIdentifier(uri) for uri in names.uris),
        *(x509.DNSName(name) for name in names.dns),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in names.ips),
    ]


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lifetime: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    return Issued(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
