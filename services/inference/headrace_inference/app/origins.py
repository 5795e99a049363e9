"""Assembles where a replica learns what it is to serve: the shared state, or a folder of models."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from headrace.artifacts.sealing import load_keys
from headrace.errors import Unavailable
from headrace.service.sealed_store import SealedStore
from headrace.service.serving import Background
from headrace.state.catalog import UNREAD, Catalog
from headrace.state.connection import Redis, open_redis
from headrace.state.follower import StateFollower
from headrace.state.key_uses import note_for_ever
from headrace.state.keys import Keys
from headrace.state.outage import ACCESS_DENIED
from headrace.state.record_collections import ANNOTATIONS
from headrace.state.records import ArtifactFile, ReplicaRecord
from headrace.state.redis_settings import server_of
from headrace.tls.peers import Peer, open_peer
from headrace_inference.adapters import presence
from headrace_inference.adapters.artifact_cache.sources import (
    ArtifactSource,
    RegistrySource,
    SharedSource,
)
from headrace_inference.adapters.model_folder.follower import FolderFollower, FollowedFolder
from headrace_inference.adapters.references import VersionReferences
from headrace_inference.app.models import Models
from headrace_inference.app.readiness import Followed
from headrace_inference.domain.reconciliation.lasting_jobs import keep_running
from headrace_inference.settings import Settings

CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_reconnect_backoff_ms", 2000),
]

Describe = Callable[[], ReplicaRecord]


class Rights(Protocol):
    """What decides who may call."""

    def follow(self, catalog: Catalog) -> None:
        """Go by what this catalog says."""

    @property
    def used_keys(self) -> Mapping[str, int]:
        """The days on which keys were last used here, by their ids."""


class Origin(Protocol):
    """Where the replica's versions come from."""

    @property
    def source(self) -> ArtifactSource:
        """Return what the cache of artifacts is filled from."""

    @property
    def catalog(self) -> Catalog:
        """Return what is wanted of that cache."""

    def followed(self, models: Models) -> Followed:
        """Return what says how far the replica knows what to serve."""

    def follow(
        self,
        jobs: Background,
        models: Models,
        describe: Describe,
        rights: Rights,
        references: VersionReferences,
    ) -> None:
        """Begin to have the models kept as they are wanted, and to tell others what the replica is.

        The rights are told of every catalog before anything is done about it.
        """


@dataclass(frozen=True, slots=True)
class SharedState:
    """The state that the registry writes, in Redis."""

    redis: Redis
    keys: Keys
    follower: StateFollower
    source: ArtifactSource

    @property
    def catalog(self) -> Catalog:
        """Return the newest catalog."""
        return self.follower.catalog

    def followed(self, _: Models) -> StateFollower:
        """Return the follower."""
        return self.follower

    def follow(
        self,
        jobs: Background,
        models: Models,
        describe: Describe,
        rights: Rights,
        references: VersionReferences,
    ) -> None:
        """Follow the state, and be present in it."""
        self.follower.on_update = lambda update: rights.follow(update.catalog)
        noting = partial(note_for_ever, self.redis, self.keys, rights.used_keys)
        jobs.run(keep_running("uses of keys", noting))
        self.follower.on_unread = partial(_want_unread, models)
        jobs.run(keep_running("follower", self.follower.run))
        jobs.run(keep_running("updates", partial(_apply_updates, self.follower, models)))
        following = partial(_follow_references, self.follower, references)
        jobs.run(keep_running("references", following))
        reconciler = models.reconciler
        writer = presence.PresenceWriter(
            self.redis, self.keys, reconciler, partial(_with_problem, self.follower, describe)
        )
        present = partial(presence.keep_present, writer, reconciler.changed)
        jobs.run(keep_running("presence", present))


def _with_problem(follower: StateFollower, describe: Describe) -> ReplicaRecord:
    """What the replica is, and what keeps it from following the state, with its reason before it."""
    problem = follower.problem
    told = f"{problem.reason}: {problem.message}" if problem else ""
    return replace(describe(), problem=told)


class NoArtifacts:
    """Gives no file: there is no registry."""

    def read(self, file: ArtifactFile, offset: int) -> AsyncGenerator[bytes, None]:
        """Raises Unavailable."""
        wanted = f"{file.path}, from byte {offset}"
        raise Unavailable("ARTIFACT_UNAVAILABLE", f"there is no registry that has {wanted}")


@dataclass(slots=True)
class ServedFolder:
    """A folder of models, which no registry knows."""

    folder: FollowedFolder
    source: ArtifactSource = field(default_factory=NoArtifacts)
    catalog: Catalog = Catalog()
    """Nothing is wanted of a registry's artifacts."""
    _follower: FolderFollower | None = None

    def followed(self, models: Models) -> FolderFollower:
        """Return the follower of the folder."""
        assert models.staged is not None, "models of a folder have copies"
        self._follower = FolderFollower(self.folder, models.staged, models.reconciler)
        return self._follower

    def follow(
        self, jobs: Background, _: Models, __: Describe, ___: Rights, ____: VersionReferences
    ) -> None:
        """Read the folder, which ends the replica where it cannot be served, and look for changes."""
        assert self._follower is not None, "followed() comes first"
        jobs.run(_begin_and_follow(self._follower))


async def _begin_and_follow(follower: FolderFollower) -> None:
    await follower.begin()
    await keep_running("folder", follower.follow)


_UNUSED = frozenset({ANNOTATIONS.name})
"""What is said of versions: no request needs it, and 50 metrics of a version take 30 kB."""


@asynccontextmanager
async def open_shared_state(settings: Settings) -> AsyncIterator[SharedState]:
    """The connections to Redis and the registry, open while inside."""
    keys = Keys(settings.namespace)
    async with (
        open_redis(server_of(settings)) as redis,
        open_peer(settings.registry_address, settings, CHANNEL_OPTIONS) as registry,
    ):
        source = _artifact_source(settings, registry)
        follower = StateFollower(redis, keys, without=_UNUSED)
        yield SharedState(redis, keys, follower, source)


def served_folder(settings: Settings) -> ServedFolder:
    """The folder that the settings name."""
    assert settings.model_folder is not None
    return ServedFolder(
        FollowedFolder(settings.model_folder, settings.model_name, settings.model_poll_seconds)
    )


def _artifact_source(settings: Settings, peer: Peer) -> ArtifactSource:
    """Raises FailedPrecondition (BLOB_STORE_REFUSED) where the package for a store is not installed."""
    registry = RegistrySource(peer)
    if not settings.blob_store:
        return registry
    keys = load_keys(settings.seal_key_file, settings.seal_key_command)
    return SharedSource(SealedStore(settings.blob_store, keys), registry)


def _want_unread(models: Models, why: Unavailable) -> None:
    """Have requests told what keeps the state from being read for the first time."""
    denied = why.reason == ACCESS_DENIED
    models.want(replace(UNREAD, unread_because=why.message, unread_denied=denied))


async def _follow_references(follower: StateFollower, references: VersionReferences) -> None:
    await references.follow(follower.updates())


async def _apply_updates(follower: StateFollower, models: Models) -> None:
    async for update in follower.updates():
        models.want(update.catalog)
