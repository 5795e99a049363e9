"""Sees that a version is signed as this replica's policy wants, before it is opened."""

from __future__ import annotations

from collections.abc import Callable

from headrace.artifacts.digests import artifact_digest
from headrace.artifacts.signature_policy import PolicyFile
from headrace.errors import HeadraceError, Unavailable
from headrace.state.records import VersionRecord


def trust_check(policy: PolicyFile | None) -> Callable[[VersionRecord], None]:
    """What passes for versions that may be loaded, in any thread, else raises Unavailable.

    Unavailable, since the policy may change: a key is added, and the version loads.
    """

    def check(record: VersionRecord) -> None:
        rules = None if policy is None else policy.current()
        if rules is None or not rules.demands(record.model):
            return
        try:
            rules.check(record.model, record.signature_bundle, record.digests)
        except HeadraceError as error:
            raise _untrusted(record, f"[{error.reason}] {error.message}") from error
        # What is prepared for a load lies under this digest: it must be that of the signed files.
        if artifact_digest(record.digests) != record.digest:
            raise _untrusted(record, "its digest is not that of the files that are signed")

    return check


def _untrusted(record: VersionRecord, why: str) -> Unavailable:
    return Unavailable(
        "VERSION_UNTRUSTED",
        f"{record.key} is not loaded, as this replica's signature_policy forbids it: {why}",
    )
