"""Keys and certificates of tests, as files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class KeyPair:
    """A private key and its public key, in files."""

    private: Path
    public: Path


def key_pair(folder: Path, name: str, curve: ec.EllipticCurve | None = None) -> KeyPair:
    """A new pair in a folder."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    pair = KeyPair(folder / f"{name}.key", folder / f"{name}.pem")
    pair.private.write_bytes(_private_pem(key))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pair.public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    return pair


@dataclass(frozen=True)
class Certified:
    """A private key with its certificate, and the authority's."""

    private: Path
    certificate: Path
    authority: Path


def certified(folder: Path, name: str) -> Certified:
    """A key whose certificate for signing is of an authority of its own."""
    root, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    own = _certificate(issuer, issuer, root.public_key(), root, is_authority=True)
    made = _certificate(subject, issuer, key.public_key(), root, is_authority=False)
    files = Certified(
        folder / f"{name}.key", folder / f"{name}.crt", folder / f"{name}-authority.crt"
    )
    files.private.write_bytes(_private_pem(key))
    files.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files.authority.write_bytes(own.public_bytes(serialization.Encoding.PEM))
    return files


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    signing = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(signing, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .sign(signer, hashes.SHA256())
    )
