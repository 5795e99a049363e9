"""Reads signature bundles, as OpenSSF's model-signing writes them, without believing them."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, NoReturn

from headrace import errors
from headrace.artifacts.digests import Files

MAX_BYTES = 1 << 20
"""Room for some 4,000 files; every replica keeps the bundles of all versions in memory."""
MALFORMED = "SIGNATURE_MALFORMED"
MISMATCH = "SIGNATURE_MISMATCH"
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Bundle:
    """A signature that nobody has verified: the text of the bundle, what it is over, and by which key.

    `key_hint` is the SHA-256 of the public key's PEM, '' where a certificate signed.
    """

    text: str
    files: Files
    key_hint: str


def read_bundle(text: str) -> Bundle:
    """A bundle from its text. Raises InvalidArgument (SIGNATURE_MALFORMED)."""
    if len(text) > MAX_BYTES:
        _refuse(f"it has {len(text)} bytes, and up to {MAX_BYTES} are allowed")
    try:
        bundle = json.loads(text)
        material = bundle["verificationMaterial"]
        payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"], validate=True))
        files = {str(one["name"]): _digest(one) for one in payload["predicate"]["resources"]}
        return Bundle(text, files, _key_hint(material))
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        binascii.Error,
        RecursionError,
    ) as error:
        _refuse(f"it is no bundle of model-signing 1.0 or later ({type(error).__name__}: {error})")


def check_files(bundle: Bundle, files: Files) -> None:
    """Pass if a bundle is over exactly these files. Raises InvalidArgument (SIGNATURE_MISMATCH)."""
    if bundle.files == files:
        return
    named = sorted(
        path for path in {**files, **bundle.files} if bundle.files.get(path) != files.get(path)
    )
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    raise errors.InvalidArgument(
        MISMATCH,
        f"the signature is over other files than the version has: {', '.join(named[:_MOST_NAMED])}{more} "
        "differ, or are in one of them only. Sign what the registry stores: a lone graph is called "
        "model.onnx, and a ZipMap at the end of a graph is taken off, so export without it",
        facts={"differ": ", ".join(named[:_MOST_NAMED])},
    )


def _digest(resource: dict[str, Any]) -> str:
    if resource["algorithm"] != "sha256":
        raise ValueError(f"digests are SHA-256 of whole files, not {resource['algorithm']}")
    return str(resource["digest"])


def _key_hint(material: dict[str, Any]) -> str:
    """Raises KeyError for a bundle that says neither which key nor which certificate signed."""
    if "publicKey" in material:
        return str(material["publicKey"]["hint"] or "")
    if not material["x509CertificateChain"]["certificates"]:
        raise ValueError("it has no certificate")
    return ""


def _refuse(why: str) -> NoReturn:
    raise errors.InvalidArgument(
        MALFORMED,
        f"the signature is malformed: {why}. `headrace push --sign-key` and `model_signing sign` make one",
    )
