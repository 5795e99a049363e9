"""Messages of a process that executes tasks, a line of JSON each: ready, progress, result or error."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import msgspec

from headrace import errors


@dataclass(frozen=True, slots=True)
class ChildError:
    """An error of `headrace.errors`, by its class's name, in a form that can be sent."""

    kind: str
    reason: str
    message: str
    facts: dict[str, str] = field(default_factory=dict)
    retry_after_seconds: float | None = None


class ChildMessage(msgspec.Struct, omit_defaults=True):
    """One line: `progress` where more follows, else the task's result (JSON), or the error instead."""

    progress: str | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: ChildError | None = None


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(ChildMessage)

READY = ChildMessage(progress="ready")
"""The first: what comes before it is not the task's time."""


def encode_message(message: ChildMessage) -> bytes:
    """A message as its line."""
    return _ENCODER.encode(message) + b"\n"


def decode_message(line: bytes) -> ChildMessage:
    """The message of a line. Raises ValueError for what is none."""
    return _DECODER.decode(line)


def child_error(error: errors.HeadraceError) -> ChildError:
    """An error, to be sent."""
    delay = error.retry_after_seconds
    return ChildError(type(error).__name__, error.reason, error.message, dict(error.facts), delay)


def error_from_child(
    sent: ChildError,
    allowed: Collection[type[errors.HeadraceError]],
    otherwise: type[errors.HeadraceError],
) -> errors.HeadraceError:
    """The error that was sent; a class that the work never raises becomes `otherwise`."""
    kinds = {kind.__name__: kind for kind in allowed}
    return kinds.get(sent.kind, otherwise)(
        sent.reason,
        sent.message,
        facts=sent.facts,
        retry_after_seconds=sent.retry_after_seconds,
    )
