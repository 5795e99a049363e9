"""Names and values that access is made of: their syntax, in one place."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from headrace import errors
from headrace.errors import FieldViolation
from headrace.security.identities import ANONYMOUS
from headrace.security.policy import ALL_MODELS, is_pattern
from headrace.security.verbs import Verb
from headrace.state.access_records import (
    CallLimitsRecord,
    GrantRecord,
    RuleRecord,
)

MAX_SUBJECT_CHARACTERS = 512
MAX_RULES = 32
MAX_GRANTS = 64
MAX_PATTERNS = 64
MAX_NOTE_CHARACTERS = 256
MAX_IN_FLIGHT = 2**31 - 1

_KEY_ID = re.compile(r"[a-z0-9]{8}")
_KEY_SUBJECT = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._@+-]{0,127}")
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,62}")


def check_key_subject(subject: str) -> str:
    """The subject, if an API key may be of it. Raises InvalidArgument (SUBJECT_INVALID)."""
    if not _KEY_SUBJECT.fullmatch(subject) or subject == ANONYMOUS:
        raise errors.InvalidArgument(
            "SUBJECT_INVALID",
            f"{subject[:80]!r} cannot be the subject of an API key: use 1 to 128 letters, digits, '.', "
            "'_', '@', "
            f"'+' or '-', and begin with a letter or a digit; ':' and '/' are in subjects of JWTs and "
            f"certificates, and {ANONYMOUS!r} is nobody",
            violations=(FieldViolation("subject", "1 to 128 letters, digits, . _ @ + -"),),
        )
    return subject


def check_subject(subject: str) -> str:
    """The subject, if it may be granted anything. Raises InvalidArgument (SUBJECT_INVALID)."""
    if (
        not 1 <= len(subject) <= MAX_SUBJECT_CHARACTERS
        or not subject.isprintable()
        or " " in subject
    ):
        raise errors.InvalidArgument(
            "SUBJECT_INVALID",
            f"{subject[:80]!r} cannot be a subject: use 1 to {MAX_SUBJECT_CHARACTERS} characters without "
            "blanks, such "
            "as alice, corp:alice or spiffe://example.org/alice",
            violations=(FieldViolation("subject", "1 to 512 characters without blanks"),),
        )
    return subject


def parse_key(name: str) -> str:
    """The id in `keys/{id}`, or in the id alone. Raises InvalidArgument (RESOURCE_NAME_INVALID)."""
    key_id = name.removeprefix("keys/")
    if not _KEY_ID.fullmatch(key_id):
        raise errors.InvalidArgument(
            "RESOURCE_NAME_INVALID",
            f"{name[:80]!r} is not the name of an API key: it must be keys/ and 8 lower-case letters and "
            "digits, "
            "as keys are listed",
        )
    return key_id


def parse_role(name: str) -> str:
    """The role in `roles/{role}`, or in its name alone. Raises InvalidArgument (ROLE_INVALID)."""
    role = name.removeprefix("roles/")
    if not _ROLE.fullmatch(role):
        raise _role_invalid(
            "name",
            f"{name[:80]!r} is not a valid name of a role: use 1 to 63 lower-case letters, digits, '_' or "
            "'-', and "
            "begin with a letter",
        )
    return role


def check_rules(rules: Iterable[RuleRecord]) -> tuple[RuleRecord, ...]:
    """The rules, if a role may have them. Raises InvalidArgument (ROLE_INVALID)."""
    found = tuple(RuleRecord(_verbs(rule.verbs), check_patterns(rule.models)) for rule in rules)
    if not 1 <= len(found) <= MAX_RULES:
        raise _role_invalid("rules", f"a role has 1 to {MAX_RULES} rules, not {len(found)}")
    return found


def check_grants(grants: Iterable[GrantRecord]) -> tuple[GrantRecord, ...]:
    """The grants, if a subject may have them. Raises InvalidArgument (ROLE_INVALID)."""
    found = tuple(
        GrantRecord(parse_role(grant.role), check_patterns(grant.models)) for grant in grants
    )
    if len(found) > MAX_GRANTS:
        raise _role_invalid(
            "grants", f"a subject has up to {MAX_GRANTS} grants, not {len(found)}: make a role"
        )
    return found


def check_patterns(models: Iterable[str]) -> tuple[str, ...]:
    """Patterns of models' names, `*` where none is given. Raises InvalidArgument (ROLE_INVALID)."""
    found = tuple(dict.fromkeys(models)) or (ALL_MODELS,)
    if len(found) > MAX_PATTERNS:
        raise _role_invalid("models", f"up to {MAX_PATTERNS} patterns are allowed")
    for pattern in found:
        if not is_pattern(pattern):
            raise _role_invalid(
                "models",
                f"{pattern[:80]!r} is not a pattern of models' names: use letters, digits, '.', '_', '-', "
                "and '*' "
                "for any text, such as fraud-*",
            )
    return found


def check_limits(limits: CallLimitsRecord) -> CallLimitsRecord:
    """The limits, if they can be kept. Raises InvalidArgument (LIMITS_INVALID)."""
    given = {
        "requests_per_second": limits.requests_per_second,
        "rows_per_second": limits.rows_per_second,
        "in_flight": limits.in_flight,
    }
    wrong = [name for name, value in given.items() if not (math.isfinite(value) and value >= 0)]
    if wrong:
        raise errors.InvalidArgument(
            "LIMITS_INVALID",
            f"{', '.join(wrong)} must be 0 (no limit) or more",
            violations=tuple(FieldViolation(f"limits.{name}", "0 or more") for name in wrong),
        )
    return limits


def check_note(note: str, field: str = "note") -> str:
    """The note, if it is short. Raises InvalidArgument (DESCRIPTION_TOO_LONG)."""
    if len(note) > MAX_NOTE_CHARACTERS:
        raise errors.InvalidArgument(
            "DESCRIPTION_TOO_LONG",
            f"{field} has {len(note)} characters; up to {MAX_NOTE_CHARACTERS} are allowed",
            violations=(FieldViolation(field, f"up to {MAX_NOTE_CHARACTERS}"),),
        )
    return note


def _verbs(verbs: Iterable[str]) -> tuple[str, ...]:
    known = [verb.value for verb in Verb]
    given = set(verbs)
    unknown = sorted(given.difference(known))
    if unknown or not given:
        what = f"there is no verb {', '.join(unknown)[:80]}" if unknown else "a rule has no verb"
        raise _role_invalid("rules.verbs", f"{what}; there are {', '.join(known)}")
    return tuple(verb for verb in known if verb in given)


def _role_invalid(field: str, what: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "ROLE_INVALID", what, violations=(FieldViolation(field, what[:200]),)
    )
