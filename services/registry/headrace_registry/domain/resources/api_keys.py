"""API keys: making, replacing and revoking them. The secrets are not known here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from headrace import errors
from headrace.state.access_records import KEY_PREFIX, ApiKeyRecord, BindingRecord, GrantRecord
from headrace.state.catalog import Catalog
from headrace.state.changes import ChangedResource
from headrace.state.record_collections import API_KEYS, BINDINGS
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.resources.admins import check_admin_can_come
from headrace_registry.domain.resources.bindings import with_grants

MAX_LIVE_KEYS = 2
"""Of a subject: one in use, and the one that takes its place."""
MAX_KEYS = 20_000
KEPT_SECONDS = 30 * 86_400.0
"""How long keys that have ended stay listed; the change log has them after that."""

Keys = dict[str, ApiKeyRecord | None]
"""Keys by their names as they are to be; None: deleted."""


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key to make; `ttl_seconds` 0: it does not end."""

    id: str
    subject: str
    digest: str
    ttl_seconds: float = 0.0
    note: str = ""
    grants: tuple[GrantRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """A key to take the place of another, which goes on for so long."""

    former: str
    id: str
    digest: str
    overlap_seconds: float
    ttl_seconds: float = 0.0


def find_key(catalog: Catalog, key_id: str) -> ApiKeyRecord:
    """The key. Raises NotFound (API_KEY_NOT_FOUND)."""
    found = catalog.of(API_KEYS).get(f"{KEY_PREFIX}{key_id}")
    if found is None:
        raise errors.NotFound(
            "API_KEY_NOT_FOUND",
            f"there is no API key {key_id}: `headrace keys list` lists them",
            facts={"key": key_id},
        )
    return found


def create_key(context: DecisionContext, new: NewApiKey) -> Decision:
    """Decide on a new key, and what its subject gets with it.

    Raises ResourceExhausted (TOO_MANY_API_KEYS, TOO_MANY_BINDINGS), NotFound (ROLE_NOT_FOUND).
    """
    _check_room(context, new.subject)
    made = _made(context, new)
    binding = with_grants(context, new.subject, new.grants) if new.grants else None
    return key_change(context, "key.create", made, {made.name: made}, binding)


def rotate_key(context: DecisionContext, rotation: KeyRotation) -> Decision:
    """Decide on a key in the place of another.

    Raises NotFound, FailedPrecondition (API_KEY_ENDED), ResourceExhausted (TOO_MANY_API_KEYS).
    """
    former = find_key(context.catalog, rotation.former)
    if not former.is_live(context.now):
        raise errors.FailedPrecondition(
            "API_KEY_ENDED",
            f"the API key {former.id} was revoked or has ended, so nothing takes its place: create a new "
            "one",
            facts={"key": former.id, "subject": former.subject},
        )
    ends = context.now + rotation.overlap_seconds
    ending = replace(
        former,
        expires_at=min(former.expires_at or ends, ends),
        revision=context.next_revision,
    )
    _check_room(context, former.subject, besides=former.id, more=int(ending.is_live(context.now)))
    made = _made(
        context,
        NewApiKey(rotation.id, former.subject, rotation.digest, rotation.ttl_seconds, former.note),
    )
    return key_change(context, "key.create", made, {made.name: made, former.name: ending})


def revoke_key(context: DecisionContext, key_id: str) -> Decision:
    """Decide on a key's end, at once and for ever.

    Raises NotFound (API_KEY_NOT_FOUND), FailedPrecondition (LAST_ADMIN). A rotation cannot leave nobody:
    the key that it makes lives.
    """
    key = find_key(context.catalog, key_id)
    ended = replace(
        key,
        disabled=True,
        expires_at=min(key.expires_at or context.now, context.now),
        revision=context.next_revision,
    )
    check_admin_can_come(context, ended)
    return key_change(context, "key.revoke", ended, {key.name: ended})


def key_change(
    context: DecisionContext,
    kind: str,
    first: ApiKeyRecord,
    keys: Keys,
    binding: BindingRecord | None = None,
) -> Decision:
    """The decision on keys, and on what a subject gets; keys that ended long ago go with it."""
    gone: Keys = dict.fromkeys(_forgotten(context))
    further = [
        ChangedResource("key.update" if record else "key.delete", name)
        for name, record in (gone | keys).items()
        if name != first.name
    ]
    records: dict[str, dict[str, object]] = {API_KEYS.name: {**gone, **keys}}
    if binding is not None:
        further.append(ChangedResource("binding.update", binding.name))
        records[BINDINGS.name] = {binding.name: binding}
    return context.change(kind, first.name, records, tuple(further))


def _made(context: DecisionContext, new: NewApiKey) -> ApiKeyRecord:
    return ApiKeyRecord(
        new.id,
        new.subject,
        new.digest,
        context.now,
        context.now + new.ttl_seconds if new.ttl_seconds else 0.0,
        created_by=context.actor,
        note=new.note,
        revision=context.next_revision,
    )


def _forgotten(context: DecisionContext) -> Iterator[str]:
    before = context.now - KEPT_SECONDS
    for name, key in context.catalog.of(API_KEYS).items():
        if 0 < key.expires_at < before:
            yield name


def _check_room(
    context: DecisionContext, subject: str, *, besides: str = "", more: int = 0
) -> None:
    """Pass if there may be another key of a subject; of those that go on, `more` are not counted here."""
    keys = context.catalog.of(API_KEYS)
    if len(keys) >= MAX_KEYS:
        raise errors.ResourceExhausted(
            "TOO_MANY_API_KEYS",
            f"there are {len(keys)} API keys, and up to {MAX_KEYS} are allowed; those that have ended are "
            "forgotten after 30 days",
            facts={"limit": str(MAX_KEYS)},
        )
    live = [
        key.id
        for key in keys.values()
        if key.subject == subject and key.id != besides and key.is_live(context.now)
    ]
    if len(live) + more >= MAX_LIVE_KEYS:
        raise errors.ResourceExhausted(
            "TOO_MANY_API_KEYS",
            f"{subject} has {len(live) + more} live API keys, and {MAX_LIVE_KEYS} are allowed, so that one "
            f"can take the other's place: revoke one first (`headrace keys revoke {live[0]}`)",
            facts={"subject": subject, "limit": str(MAX_LIVE_KEYS)},
        )
