"""Signs artifacts and verifies signatures with OpenSSF's model-signing, by keys and certificates, offline.

The library is told the digests of the files, which are known here, in place of a folder that it would
hash once more. It is loaded by whoever signs or verifies, and by nobody else: 0.3 s and 50 MB.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace import errors
from headrace.artifacts.bundles import Bundle, read_bundle
from headrace.artifacts.digests import Files

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

KEY_UNUSABLE = "SIGNING_KEY_UNUSABLE"
UNTRUSTED = "SIGNATURE_UNTRUSTED"
NOT_INSTALLED = "SIGNING_NOT_INSTALLED"
CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""Of the keys that model-signing takes; it has no Ed25519."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key (PEM); with a certificate of its public key, and those between it and its authority."""

    key: Path
    certificate: Path | None = None
    chain: tuple[Path, ...] = ()


def require_library() -> None:
    """Load the library. Raises FailedPrecondition (SIGNING_NOT_INSTALLED)."""
    try:
        import model_signing.signing
        import model_signing.verifying  # noqa: F401
    except ImportError as error:
        raise errors.FailedPrecondition(
            NOT_INSTALLED,
            f"signatures need the package model-signing, which is not installed whole ({error}): "
            "`pip install 'headrace[signing]'`",
        ) from error


def sign(name: str, files: Files, key: SigningKey) -> str:
    """The bundle of a signature over files. Raises FailedPrecondition, InvalidArgument."""
    require_library()
    from model_signing import signing

    try:
        config = _new(signing.Config).set_hashing_config(_known(files))
        if key.certificate is None:
            config.use_elliptic_key_signer(private_key=key.key)
        else:
            config.use_certificate_signer(
                private_key=key.key,
                signing_certificate=key.certificate,
                certificate_chain=list(key.chain),
            )
        with tempfile.TemporaryDirectory(prefix="headrace-sign-") as folder:
            path = Path(folder) / "model.sig"
            config.sign(name, path)
            return read_bundle(path.read_text("utf-8")).text
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise _key_unusable(key.key, error) from error


def verify_by_key(bundle: Bundle, files: Files, public_key: Path) -> None:
    """Pass if a key's owner signed exactly these files. Raises FailedPrecondition (SIGNATURE_UNTRUSTED)."""
    from model_signing import verifying

    config = _new(verifying.Config).set_hashing_config(_known(files))
    _verify(config.use_elliptic_key_verifier(public_key=public_key), bundle)


def verify_by_certificate(bundle: Bundle, files: Files, authorities: Sequence[Path]) -> None:
    """Pass if one whom an authority certified signed exactly these files.

    The certificate must have been for signing and valid when it was issued: a signature outlives it.
    Raises FailedPrecondition (SIGNATURE_UNTRUSTED).
    """
    from model_signing import verifying

    assert authorities  # with none, the library takes those of the web
    config = _new(verifying.Config).set_hashing_config(_known(files))
    _verify(config.use_certificate_verifier(certificate_chain=list(authorities)), bundle)


def key_hint(public_key: Path) -> str:
    """The SHA-256 by which bundles name a public key. Raises InvalidArgument (SIGNING_KEY_UNUSABLE)."""
    from cryptography.hazmat.primitives import serialization

    key = _read_public_key(public_key)
    encoding = serialization.Encoding.PEM
    pem = key.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def untrusted(why: str) -> errors.FailedPrecondition:
    """The error of a signature that is not believed."""
    return errors.FailedPrecondition(UNTRUSTED, f"the signature is not trusted: {why}")


def _verify(config: Any, bundle: Bundle) -> None:
    with tempfile.TemporaryDirectory(prefix="headrace-verify-") as folder:
        path = Path(folder) / "model.sig"
        path.write_text(bundle.text, "utf-8")
        try:
            config.verify("model", path)
        except Exception as error:  # of the bundle, whoever wrote it: each refuses
            said = str(error) or "it is not what that key made of these files"
            raise untrusted(f"{said} ({type(error).__name__})") from error


def _read_public_key(path: Path) -> EllipticCurvePublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise _key_unusable(path, error) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise _key_unusable(path, "it is of another kind")
    return key


def _key_unusable(path: Path, why: object) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        KEY_UNUSABLE,
        f"the key {path} cannot be used ({why}): it must be an unencrypted elliptic key in PEM, of the "
        "curve P-256, P-384 or P-521; `openssl ecparam -name prime256v1 -genkey -noout` makes one",
    )


def _new(untyped: Callable[[], Any]) -> Any:
    """An object of the library, whose constructors have no types."""
    return untyped()


def _known(files: Files) -> Any:
    """What the library is to take for the model: these files, by these digests."""
    from model_signing import hashing, manifest
    from model_signing._hashing.hashing import Digest  # it has no public name for one

    class Known(hashing.Config):
        def hash(self, model_path: Any, *, files_to_hash: Any = None) -> Any:  # noqa: ARG002
            kind = manifest.SerializationType.from_args(
                {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
            )
            items = [
                kind.new_item(path, Digest("sha256", bytes.fromhex(sha256)))
                for path, sha256 in files.items()
            ]
            return manifest.Manifest(str(model_path), items, kind)

        def add_ignored_paths(self, **_: Any) -> None:
            """Every file of a version counts, whatever its signer left out."""

    return _new(Known)
