"""Where a change comes from, as its record says it: from the caller of the request at hand."""

from __future__ import annotations

from urllib.parse import unquote

from headrace import errors
from headrace.security.callers import REASON_KEY, Caller, current_caller
from headrace.service.logs import current_request_id
from headrace.state.changes import Origin

MAX_REASON = 500


def origin_of_caller() -> Origin:
    """What is known of the present caller. Raises InvalidArgument (REASON_INVALID)."""
    return origin_of(current_caller(), current_request_id())


def origin_of(caller: Caller, request_id: str) -> Origin:
    """What is known of a caller. Raises InvalidArgument (REASON_INVALID)."""
    if not caller.peer:
        return Origin(proof="local")
    return Origin(
        proof=_proof(caller),
        peer=caller.peer,
        request_id=request_id,
        reason=_checked(caller.reason),
        claim=caller.claim if caller.claim != caller.actor else "",
    )


def _proof(caller: Caller) -> str:
    detail = caller.identity.detail
    return f"{caller.identity.proof}:{detail}" if detail else str(caller.identity.proof)


def _checked(sent: str) -> str:
    reason = unquote(sent)
    if len(reason) <= MAX_REASON and reason.isprintable():
        return reason
    what = f"has {len(reason)} characters" if reason.isprintable() else "has control characters"
    raise errors.InvalidArgument(
        "REASON_INVALID",
        f"the reason in {REASON_KEY} {what}: at most {MAX_REASON} are allowed, in one line",
        violations=(errors.FieldViolation(REASON_KEY, f"at most {MAX_REASON}, in one line"),),
    )
