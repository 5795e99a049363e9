"""Headers of a call, as gRPC metadata: those that a caller sends, and what the client says of him."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from headrace import errors
from headrace.security import callers

_NAME = re.compile(r"[a-z0-9_.-]+")


def as_metadata(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers as metadata, by lower-case names. Raises InvalidArgument (HEADER_INVALID)."""
    return tuple(_checked(name.lower(), text) for name, text in headers.items())


def reason_metadata(reason: str) -> tuple[tuple[str, str], ...]:
    """The reason of changes as metadata, which is ASCII."""
    return ((callers.REASON_KEY, quote(reason, safe=" /:,.;()")),) if reason else ()


def as_ascii(text: str) -> str:
    """The text, with a question mark for whatever metadata cannot hold."""
    return "".join(char if " " <= char <= "~" else "?" for char in text)


def _checked(name: str, text: str) -> tuple[str, str]:
    if not _NAME.fullmatch(name) or name.endswith("-bin") or name.startswith("grpc-"):
        raise _invalid(
            f"{name[:200]!r} is not a valid name of a header: use letters, digits, '_', '.' and '-', and "
            "neither 'grpc-' at its beginning nor '-bin' at its end"
        )
    if not isinstance(text, str):
        raise TypeError(f"the text of header {name!r} must be a str, got {text!r:.200}")
    if not text.isascii() or not text.isprintable():
        raise _invalid(f"the text of header {name!r} must be printable ASCII, as gRPC metadata is")
    return name, text


def _invalid(message: str) -> errors.InvalidArgument:
    return errors.InvalidArgument("HEADER_INVALID", message)
