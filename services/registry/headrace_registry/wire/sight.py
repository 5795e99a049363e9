"""Decides what of lists, replicas and blobs the present caller is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from headrace import errors
from headrace.security.access import Access
from headrace.security.callers import current_caller
from headrace.security.refusals import not_authenticated
from headrace.security.verbs import Verb
from headrace.state.catalog import Catalog
from headrace.state.records import ReplicaRecord
from headrace_registry.domain.blob_models import BlobModels


class Sight:
    """The present caller's view of the registry."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._blob_models = BlobModels()

    def models(self) -> Callable[[str], bool] | None:
        """Return what tells the models that he may see; None where he may see all."""
        identity = current_caller().identity
        if self._access.may(identity, Verb.READ, ""):
            return None
        return self._access.models_for(identity)

    def from_now_on(self) -> Callable[[str], bool] | None:
        """Return what tells at any later time the models that he may see then; None: all, for ever."""
        if not self._access.is_on:
            return None
        return partial(self._access.may, current_caller().identity, Verb.READ)

    def replica(self, replica: ReplicaRecord) -> ReplicaRecord:
        """Return a replica without the versions that he may not see."""
        is_seen = self.models()
        if is_seen is None:
            return replica
        seen = tuple(version for version in replica.versions if is_seen(version.model))
        return replace(replica, versions=seen)

    async def check_blob(self, digest: str, catalog: Callable[[], Catalog]) -> None:
        """Pass if he may read a blob: one of a model that he may read.

        Raises Unauthenticated, PermissionDenied, and Unavailable where the catalog is not known.

        That there is no such blob he learns only if he may read all.
        """
        identity = current_caller().identity
        is_seen = self.models()
        if is_seen is None or self._access.may(identity, Verb.SERVICE, ""):
            return
        if await self._blob_models.is_of(digest, catalog(), is_seen):
            return
        if not identity.is_known:
            raise not_authenticated()
        raise errors.PermissionDenied(
            "PERMISSION_DENIED",
            f"{identity.subject} has not the right 'read' for a model with a version that has this blob, "
            "if there is one",
            facts={"subject": identity.subject, "verb": Verb.READ.value},
        )
