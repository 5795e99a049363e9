"""Digests as requests bring them."""

from __future__ import annotations

from headrace import errors


def parse_digest(sha256: str, field: str) -> str:
    """A SHA-256 in lower case. Raises InvalidArgument (DIGEST_INVALID)."""
    digest = sha256.lower()
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise errors.InvalidArgument(
            "DIGEST_INVALID",
            f"{field} is {sha256[:80]!r}; it must be a SHA-256, 64 hex digits",
            violations=(errors.FieldViolation(field, "64 hex digits"),),
        )
    return digest
