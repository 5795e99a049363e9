"""The rights file: keys and grants of a process without a registry, put in force whenever it changes."""

from __future__ import annotations

import logging
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec

from headrace import errors
from headrace.file_stamps import Stamp, stamp_of
from headrace.security.access import Access, Rights
from headrace.security.api_keys import ApiKey
from headrace.security.policy import (
    ALL_MODELS,
    BUILT_IN_ROLES,
    Binding,
    CallLimits,
    Grant,
    Policy,
    Role,
    Rule,
    is_pattern,
)
from headrace.security.verbs import Verb

logger = logging.getLogger(__name__)

_MAX_FILE_BYTES = 16 * 2**20
_ID_LENGTH = 8

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Models = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
Limit = Annotated[float, msgspec.Meta(ge=0)]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file."""


class KeyEntry(_Entry, frozen=True):
    """A key by its digest: `headrace keys create SUBJECT --rights-file FILE` adds it."""

    subject: Text
    digest: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    """SHA-256 of the key, in hex."""
    id: str = ""
    expires: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class GrantEntry(_Entry, frozen=True):
    """A role that a subject has, for the models that fit one of the patterns."""

    subject: Text
    role: Text
    models: Models = (ALL_MODELS,)


class LimitEntry(_Entry, frozen=True):
    """The most that a subject may ask of the process; 0: no limit."""

    subject: Text
    requests_per_second: Limit = 0.0
    rows_per_second: Limit = 0.0
    in_flight: Annotated[int, msgspec.Meta(ge=0)] = 0


class RuleEntry(_Entry, frozen=True):
    """Verbs, for the models that fit one of the patterns."""

    verbs: Annotated[tuple[Verb, ...], msgspec.Meta(min_length=1)]
    models: Models = (ALL_MODELS,)


class RoleEntry(_Entry, frozen=True):
    """A role beside the built-in ones."""

    name: Text
    rules: Annotated[tuple[RuleEntry, ...], msgspec.Meta(min_length=1)]


class RightsEntries(_Entry, frozen=True):
    """All that the file says."""

    keys: tuple[KeyEntry, ...] = ()
    grants: tuple[GrantEntry, ...] = ()
    limits: tuple[LimitEntry, ...] = ()
    roles: tuple[RoleEntry, ...] = ()


def read_rights_file(path: Path) -> Rights:
    """The rights that a file says. Raises FailedPrecondition (RIGHTS_FILE_INVALID)."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
        if len(data) > _MAX_FILE_BYTES:
            raise _invalid(path, f"it has more than {_MAX_FILE_BYTES} bytes")
        return parse_rights(data.decode())
    except OSError as error:
        raise _invalid(path, f"it cannot be read ({error.strerror})") from error
    except (ValueError, msgspec.ValidationError) as error:
        raise _invalid(path, str(error)) from error


def parse_rights(text: str) -> Rights:
    """The rights that a text says. Raises ValueError, msgspec.ValidationError, which name the entry."""
    entries = msgspec.convert(tomllib.loads(text), RightsEntries)
    if wrong := [*_problems(entries)]:
        raise ValueError("; ".join(wrong))
    roles = {each.name: Role(each.name, tuple(map(_rule, each.rules))) for each in entries.roles}
    subjects = {grant.subject for grant in entries.grants}
    subjects |= {limit.subject for limit in entries.limits}
    policy = Policy(roles, {subject: _binding(subject, entries) for subject in subjects})
    return Rights({key.digest: _key(key) for key in entries.keys}, policy)


def _problems(entries: RightsEntries) -> Iterator[str]:
    own = {role.name for role in entries.roles}
    for name in sorted(own & set(BUILT_IN_ROLES)):
        yield f"roles: {name!r} is a role that there is already"
    for grant in entries.grants:
        if grant.role not in own and grant.role not in BUILT_IN_ROLES:
            known = ", ".join(sorted({*own, *BUILT_IN_ROLES}))
            yield f"grants: there is no role {grant.role!r} for {grant.subject!r}; there are {known}"
    patterns = {name for grant in entries.grants for name in grant.models}
    patterns |= {name for role in entries.roles for rule in role.rules for name in rule.models}
    for pattern in sorted(patterns):
        if not is_pattern(pattern):
            yield f"models: {pattern!r} is no pattern: letters, digits, '.', '_', '-' and '*'"


def _key(entry: KeyEntry) -> ApiKey:
    ends = entry.expires.timestamp() if entry.expires else math.inf
    return ApiKey(entry.id or entry.digest[:_ID_LENGTH], entry.subject, entry.digest, ends)


def _rule(entry: RuleEntry) -> Rule:
    return Rule(frozenset(entry.verbs), entry.models)


def _binding(subject: str, entries: RightsEntries) -> Binding:
    grants = tuple(
        Grant(each.role, each.models) for each in entries.grants if each.subject == subject
    )
    limits = [each for each in entries.limits if each.subject == subject]
    last = limits[-1] if limits else LimitEntry(subject=subject)
    return Binding(
        grants, CallLimits(last.requests_per_second, last.rows_per_second, last.in_flight)
    )


class RightsFile:
    """What a rights file says, in force in an access. A file that cannot be used leaves what was there."""

    def __init__(self, path: Path, access: Access) -> None:
        self.path = path
        self.problem = ""
        """Why the file cannot be used as it is now; '' if it can."""
        self._access = access
        self._stamp: Stamp | None = None

    def begin(self) -> None:
        """Put it in force. Raises FailedPrecondition (RIGHTS_FILE_INVALID)."""
        self._stamp = stamp_of(self.path)
        self._access.rights = read_rights_file(self.path)
        self._access.has_rights_file = True

    def look(self) -> None:
        """Put it in force again if it has changed."""
        stamp = stamp_of(self.path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._access.rights = read_rights_file(self.path)
        except errors.FailedPrecondition as error:
            self.problem = error.message
            logger.error("%s; what it said before stays", error.message)  # noqa: TRY400 - it has no bug
        else:
            self.problem = ""
            logger.info("the rights file was read again", extra={"file": str(self.path)})


def as_text(key: ApiKey, grants: Mapping[str, Sequence[str]]) -> str:
    """A key, and the roles that its subject is granted by patterns of models, as a part of the file."""
    subject = _quoted(key.subject)
    lines = ["", "[[keys]]", f"subject = {subject}", f'id = "{key.id}"', f'digest = "{key.digest}"']
    if not math.isinf(key.expires_at):
        ends = datetime.fromtimestamp(key.expires_at, UTC)
        lines.append(f"expires = {ends.isoformat(timespec='seconds')}")
    for role, models in grants.items():
        lines += ["", "[[grants]]", f"subject = {subject}", f"role = {_quoted(role)}"]
        lines += [f"models = {_quoted(list(models))}"] if models else []
    return "\n".join([*lines, ""])


def _quoted(value: str | list[str]) -> str:
    """A text, or texts, as TOML has them: as JSON does."""
    return msgspec.json.encode(value).decode()


def _invalid(path: Path, why: str) -> errors.FailedPrecondition:
    return errors.FailedPrecondition(
        "RIGHTS_FILE_INVALID",
        f"the rights file {path} cannot be used: {why}",
        facts={"file": str(path)},
    )
