"""API keys: `hr_<id>_<secret><checksum>`, made once and shown once; what is kept is a digest.

The id is 8 characters, the secret 32 random bytes in base64url, the checksum 6 characters of base 62
over the CRC-32 of all before it. The prefix lets scanners of secrets find a key that leaked. The checksum
tells a typo from a key without a look-up. A secret of 256 random bits needs no slow hash: nobody can
guess it.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
import zlib
from dataclasses import dataclass

PREFIX = "hr_"
_KEY = re.compile(r"hr_([a-z0-9]{8})_([A-Za-z0-9_-]{43})([0-9A-Za-z]{6})")
_ID_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
_BASE_62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH, _SECRET_BYTES, _CHECKSUM_LENGTH = 8, 32, 6


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key. Times are in seconds since the epoch."""

    id: str
    subject: str
    digest: str
    """SHA-256 of the key, in hex."""
    expires_at: float = math.inf
    is_disabled: bool = False


def make_key() -> str:
    """Return a new key."""
    key_id = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(_ID_LENGTH))
    body = f"{PREFIX}{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return body + _checksum(body)


def id_of(key: str) -> str:
    """Return the id in a key; '' where the text is no key, or one with a typo."""
    match = _KEY.fullmatch(key)
    if match is None or _checksum(key[:-_CHECKSUM_LENGTH]) != match[3]:
        return ""
    return match[1]


def digest_of(key: str) -> str:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_BASE_62))
        digits = _BASE_62[digit] + digits
    return digits
