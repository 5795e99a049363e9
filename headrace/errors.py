"""The one vocabulary of expected errors.

    HeadraceError
    ├── InvalidArgument     the request is wrong and will stay wrong
    ├── OutOfRange          a position that no longer, or does not yet, exist
    ├── NotFound            the thing named is not there
    ├── AlreadyExists       the thing to create is there already
    ├── FailedPrecondition  the state forbids it; change the state first
    ├── Aborted             somebody else changed it meanwhile; read again, then retry
    ├── ResourceExhausted   over a limit; retry later or raise the limit
    ├── DeadlineExceeded    the caller's time is up
    ├── Cancelled           the caller went away
    ├── Unauthenticated     who is calling is not known
    ├── PermissionDenied    who is calling may not do this
    ├── Unimplemented       not offered here, by this build or by a setting
    ├── Unavailable         cannot be done now; retry
    ├── DataLoss            stored bytes are not what they were
    └── Internal            our fault, and known to be so

Every error carries a constant, UPPER_SNAKE reason that programs branch on, a message for people, and
facts by name. Anything else that is raised is a bug and is left to fly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

REASON_DOMAIN = "headrace.dev"
"""The `google.rpc.ErrorInfo` domain of every reason here."""

MAX_ASCII_CHARACTERS = 1500
MAX_CHARACTERS = 300
"""Of a message with other characters. A message travels twice in a call's trailers, percent-encoded and
in base64, and clients take 8 KiB of them at most: over that they see another error than was sent."""

MAX_FACT_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that is wrong: its path and what was expected."""

    field: str
    description: str


class HeadraceError(Exception):
    """An expected error: `reason` for programs, `message` for people, `facts` for both.

    `retry_after_seconds` is set where trying again later makes sense.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        facts: Mapping[str, str] | None = None,
        violations: tuple[FieldViolation, ...] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        message = _shortened(message)
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.facts = {
            key: value[:MAX_FACT_CHARACTERS] for key, value in (facts.items() if facts else ())
        }
        self.violations = violations
        self.retry_after_seconds = retry_after_seconds

    def forget_history(self) -> None:
        """Drop the traceback and what it was raised from: their frames hold the request that is refused.

        Who answers an error calls this; else a future or a call that refers to the error keeps a refused
        message of any size until the cycle is collected.
        """
        self.__traceback__ = self.__cause__ = self.__context__ = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason!r}, {self.message!r})"


def _shortened(text: str) -> str:
    """The text, or its beginning and end: callers' own words in a message have any length."""
    most = MAX_ASCII_CHARACTERS if text.isascii() else MAX_CHARACTERS
    if len(text) <= most:
        return text
    return f"{text[: most * 2 // 3]} ... {text[-most // 4 :]}"


class InvalidArgument(HeadraceError):
    """The request is wrong whatever the state: it will not succeed unchanged."""


class OutOfRange(HeadraceError):
    """A position, such as a start revision, that the service no longer or does not yet hold."""


class NotFound(HeadraceError):
    """The model, version, alias or artifact named is not there."""


class AlreadyExists(HeadraceError):
    """The thing to create is there already."""


class FailedPrecondition(HeadraceError):
    """The present state forbids it; the message says what to change first."""


class Aborted(HeadraceError):
    """A concurrent change won: read again, decide again, retry."""


class ResourceExhausted(HeadraceError):
    """Over a limit; the message names the limit and its setting."""


class DeadlineExceeded(HeadraceError):
    """The caller's deadline passed before the work was done."""


class Cancelled(HeadraceError):
    """The caller went away."""


class Unauthenticated(HeadraceError):
    """Who is calling could not be established."""


class PermissionDenied(HeadraceError):
    """Who is calling may not do this."""


class Unimplemented(HeadraceError):
    """Not offered, by this build, this front or a setting."""


class Unavailable(HeadraceError):
    """Cannot be done now; the same request may succeed later."""


class DataLoss(HeadraceError):
    """Stored bytes are not what they were when they were stored."""


class Internal(HeadraceError):
    """A failure on our side that is known and named."""
