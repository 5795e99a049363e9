"""Keys that are made without a server: left for a registry to take in, or written into a rights file."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from headrace.access_names import check_grants, check_key_subject, check_note
from headrace.client import ApiKey, NewApiKey
from headrace.security import rights_file
from headrace.security.api_keys import ApiKey as KeptKey
from headrace.security.api_keys import digest_of, id_of, make_key
from headrace.security.policy import BUILT_IN_ROLES
from headrace.state.access_inbox import BOOTSTRAP, PostedKey, post
from headrace.state.access_records import GrantRecord

_OF_A_REGISTRY = ("registry.lock", "blobs")


def leave_key(
    data: Path,
    subject: str,
    grants: Mapping[str, Sequence[str]],
    ttl_seconds: float | None = None,
    note: str = "",
) -> NewApiKey:
    """Make a key and leave it for the registry of a data folder, which need not run.

    Raises InvalidArgument (SUBJECT_INVALID, ROLE_INVALID, DESCRIPTION_TOO_LONG), typer.BadParameter.
    """
    given = check_grants(GrantRecord(role, tuple(models)) for role, models in grants.items())
    unknown = [grant.role for grant in given if grant.role not in BUILT_IN_ROLES]
    if unknown:
        raise typer.BadParameter(
            f"--data knows built-in roles alone ({', '.join(BUILT_IN_ROLES)}), not {unknown[0]}: grant it "
            "later"
        )
    secret, now = make_key(), time.time()
    posted = PostedKey(
        id_of(secret),
        check_key_subject(subject),
        digest_of(secret),
        now,
        now + ttl_seconds if ttl_seconds else 0.0,
        given,
        check_note(note),
    )
    _post(registry_folder(data), posted)
    key = ApiKey(
        posted.id,
        posted.subject,
        True,  # live, as soon as it is taken in
        posted.created_at,
        posted.expires_at,
        created_by=BOOTSTRAP,
        note=note,
    )
    return NewApiKey(key, secret)


def write_key(
    file: Path,
    subject: str,
    grants: Mapping[str, Sequence[str]],
    ttl_seconds: float | None = None,
) -> NewApiKey:
    """Make a key and add it to a rights file, which is made if need be.

    Raises InvalidArgument (SUBJECT_INVALID, ROLE_INVALID), typer.BadParameter.
    """
    check_grants(GrantRecord(role, tuple(models)) for role, models in grants.items())
    secret, now = make_key(), time.time()
    ends = now + ttl_seconds if ttl_seconds else 0.0
    made = KeptKey(id_of(secret), check_key_subject(subject), digest_of(secret), ends or math.inf)
    try:
        before = file.read_text() if file.exists() else ""
        text = before + rights_file.as_text(made, grants)
        rights_file.parse_rights(text)
        _replace(file, text)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"the key cannot be added to {file}: {error}") from error
    return NewApiKey(ApiKey(made.id, made.subject, True, now, ends, created_by=BOOTSTRAP), secret)


def _replace(file: Path, text: str) -> None:
    """Whoever reads the file meanwhile has the one before, or this one."""
    beside = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    try:
        beside.touch(mode=mode, exist_ok=False)
        beside.write_text(text)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def registry_folder(data: Path) -> Path:
    """The registry's folder in that of a suite; the folder itself where it is a registry's."""
    is_registrys = any((data / name).exists() for name in _OF_A_REGISTRY)
    return data if is_registrys else data / "registry"


def is_new(data: Path) -> bool:
    """Return whether no registry ever ran on a data folder."""
    return not any((registry_folder(data) / name).exists() for name in _OF_A_REGISTRY)


def _post(folder: Path, key: PostedKey) -> None:
    try:
        post(folder, key)
    except OSError as error:
        raise typer.BadParameter(
            f"the key cannot be left in {folder}: {error.strerror or error}"
        ) from error
