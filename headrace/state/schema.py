"""The schema number of the shared state: what a process must know to change the state rightly.

A new field of a record needs no new number, for those who do not know it keep it. The number is raised
where an older registry would break what a newer one wrote though it keeps all fields: an enum's new value,
another meaning, a record that has to be changed together with another.
"""

from __future__ import annotations

from headrace import errors

SCHEMA = 2
"""What this code writes. 1: states without a number. 2: changes of several resources, keys of routes."""

STATE_SCHEMA_NEWER = "STATE_SCHEMA_NEWER"


def parse_schema(text: bytes | None) -> int:
    """The number that the state's key holds."""
    return int(text) if text and text.isdigit() else 1


def is_newer(schema: int) -> bool:
    """True where a newer registry has written a state, which must not be changed by this code then."""
    return schema > SCHEMA


def check_writable(schema: int) -> None:
    """Pass if this code may change such a state. Raises FailedPrecondition (STATE_SCHEMA_NEWER)."""
    if is_newer(schema):
        raise errors.FailedPrecondition(
            STATE_SCHEMA_NEWER,
            f"the shared state cannot be changed by this registry: {newer(schema)}; nothing was changed",
            facts={"schema": str(schema), "known": str(SCHEMA)},
        )


def newer(schema: int) -> str:
    """Return what is wrong with a newer state, and what to do."""
    return (
        f"a newer registry wrote it with schema {schema}, and this release knows schemas up to {SCHEMA}: "
        "upgrade this registry, or restore a backup from before the upgrade"
    )
