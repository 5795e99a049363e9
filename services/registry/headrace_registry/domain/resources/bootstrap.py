"""Keys that were left in the data folder: how they become the registry's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headrace.state.access_inbox import BOOTSTRAP, PostedKey
from headrace.state.access_records import ApiKeyRecord
from headrace.state.catalog import Catalog
from headrace.state.record_collections import API_KEYS
from headrace_registry.domain.decisions.decision import Decision
from headrace_registry.domain.decisions.decision_context import DecisionContext
from headrace_registry.domain.resources.api_keys import Keys, key_change
from headrace_registry.domain.resources.bindings import with_grants

OVERLAP_SECONDS = 600.0
"""How long keys that are replaced go on: processes read theirs anew when they are refused."""


def is_known(catalog: Catalog, posted: PostedKey) -> bool:
    """Return whether a key was taken in before; if it was revoked since, it stays so."""
    return any(key.id == posted.id for key in catalog.of(API_KEYS).values())


def take_key(context: DecisionContext, posted: PostedKey) -> Decision:
    """Decide on a key that was left: it and what its subject gets, and the end of those it replaces.

    Raises NotFound (ROLE_NOT_FOUND), ResourceExhausted (TOO_MANY_BINDINGS).
    """
    made = ApiKeyRecord(
        posted.id,
        posted.subject,
        posted.digest,
        posted.created_at,
        posted.expires_at,
        created_by=BOOTSTRAP,
        note=posted.note,
        revision=context.next_revision,
    )
    keys: Keys = {made.name: made}
    if posted.replaces:
        keys |= _replaced(context, _others(context.catalog, posted))
    binding = with_grants(context, posted.subject, posted.grants) if posted.grants else None
    return key_change(context, "key.create", made, keys, binding)


def _others(catalog: Catalog, posted: PostedKey) -> list[ApiKeyRecord]:
    """Those of the same origin: another suite in the same state has keys of its own."""
    return [
        key
        for key in catalog.of(API_KEYS).values()
        if (key.subject, key.note) == (posted.subject, posted.note) and key.created_by == BOOTSTRAP
    ]


def _replaced(context: DecisionContext, others: Sequence[ApiKeyRecord]) -> Keys:
    """Those that have ended are forgotten at once: a suite makes new ones at each start."""
    ends = context.now + OVERLAP_SECONDS
    return {
        key.name: replace(
            key, expires_at=min(key.expires_at or ends, ends), revision=context.next_revision
        )
        if key.is_live(context.now)
        else None
        for key in others
    }
