"""Headers that a caller sends with a request, as gRPC metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping

from headrace import errors

_NAME = re.compile(r"[a-z0-9_.-]+")


def as_metadata(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers as metadata, by lower-case names. Raises InvalidArgument (HEADER_INVALID)."""
    return tuple(_checked(name.lower(), text) for name, text in headers.items())


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
