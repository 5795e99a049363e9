"""Makes the errors of GGUF files: of damaged ones, and of those that cannot be imported."""

from __future__ import annotations

from headrace import errors


def invalid(what: str) -> errors.InvalidArgument:
    """A file whose bytes are not a whole GGUF file."""
    return errors.InvalidArgument(
        "GGUF_INVALID",
        f"this is not a whole GGUF file: {what}; get the file again, and compare its digest",
    )


def unsupported(what: str, allowed: str) -> errors.InvalidArgument:
    """A sound file of a model that cannot be imported."""
    return errors.InvalidArgument("GGUF_UNSUPPORTED", f"{what} cannot be imported: {allowed}")
