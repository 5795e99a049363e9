"""What changes of the console have in their bodies. All raise InvalidArgument (CHANGE_INVALID)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar

import msgspec

from headrace import errors
from headrace.client.settings import MAX_REASON

Body = TypeVar("Body", bound=msgspec.Struct)

Number = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
"""A version's number."""


class CanaryBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version on trial."""

    version: Number
    weight_percent: float


class RuleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule for requests, as `header:x-beta=1`."""

    rule: str
    version: Number


class ShadowBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A version that gets copies."""

    version: Number
    share_percent: float


class RouteBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole route."""

    stable: Number
    reason: str
    canaries: list[CanaryBody] = []
    sticky_key: str | None = None
    rules: list[RuleBody] = []
    shadow: ShadowBody | None = None
    etag: str = ""
    allow_signature_change: bool = False
    allow_unready: bool = False
    allow_gate_failure: bool = False


class RollbackBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A step back."""

    reason: str
    etag: str = ""
    allow_unready: bool = False


class AliasBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where an alias is to point; None: nowhere, it is deleted."""

    alias: str
    version: Number | None
    reason: str
    etag: str = ""
    allow_signature_change: bool = False
    allow_unready: bool = False
    allow_gate_failure: bool = False


def read(kind: type[Body], document: Mapping[str, object]) -> Body:
    """A body of this kind."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise invalid(f"the change is not as it should be: {error}") from error


def checked_reason(reason: str) -> str:
    """The reason of a change, which has to be given."""
    reason = reason.strip()
    if not 1 <= len(reason) <= MAX_REASON or not reason.isprintable():
        raise invalid(f"say why in `reason`: one line of at most {MAX_REASON} characters")
    return reason


def invalid(text: str) -> errors.InvalidArgument:
    """The error for a body that is not as it should be."""
    return errors.InvalidArgument("CHANGE_INVALID", text)
