"""The registry for code without an event loop: every method waits for AsyncClient's.

Written by `make pages` from AsyncClient: change that.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from headrace.artifacts.signatures import SigningKey
from headrace.client.access_messages import Grants
from headrace.client.access_resources import (
    ApiKey,
    Binding,
    CallerInfo,
    CallLimits,
    NewApiKey,
    Role,
    Rule,
)
from headrace.client.artifact import Report, Source
from headrace.client.async_client import AsyncClient
from headrace.client.audit import LoggedChange
from headrace.client.loop_thread import LoopThread
from headrace.client.push import Config
from headrace.client.resources import Alias, Change, Model, Route, Version
from headrace.state.records import ReplicaRecord
from headrace.state.route_records import RequestKey


class BlockingRegistryCalls:
    """Models, versions, aliases, routes, pushes, replicas, access and the audit."""

    _async: AsyncClient
    _thread: LoopThread

    def create_model(
        self,
        model: str,
        *,
        description: str = "",
        labels: Mapping[str, str] | None = None,
        keep_latest: int | None = None,
        pinned: bool = False,
        protected: bool = False,
        request_id: str = "",
        timeout_seconds: float | None = None,
    ) -> Model:
        """Create a model. Raises AlreadyExists."""
        return self._thread.run(
            self._async.create_model(
                model,
                description=description,
                labels=labels,
                keep_latest=keep_latest,
                pinned=pinned,
                protected=protected,
                request_id=request_id,
                timeout_seconds=timeout_seconds,
            )
        )

    def model(self, model: str, *, timeout_seconds: float | None = None) -> Model:
        """A model. Raises NotFound."""
        return self._thread.run(self._async.model(model, timeout_seconds=timeout_seconds))

    def models(self, *, timeout_seconds: float | None = None) -> list[Model]:
        """All models, by name."""
        return self._thread.run(self._async.models(timeout_seconds=timeout_seconds))

    def update_model(
        self,
        model: str,
        *,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        keep_latest: int | None = None,
        pinned: bool | None = None,
        protected: bool | None = None,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> Model:
        """Change what is given of a model, leave the rest. Raises NotFound, Aborted, InvalidArgument."""
        return self._thread.run(
            self._async.update_model(
                model,
                description=description,
                labels=labels,
                keep_latest=keep_latest,
                pinned=pinned,
                protected=protected,
                etag=etag,
                timeout_seconds=timeout_seconds,
            )
        )

    def revision(self, *, timeout_seconds: float | None = None) -> int:
        """The revision that the registry's state has now: where a watch may start."""
        return self._thread.run(self._async.revision(timeout_seconds=timeout_seconds))

    def delete_model(
        self,
        model: str,
        *,
        force: bool = False,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> None:
        """Delete a model, with all its versions if forced.

        Raises NotFound, Aborted, FailedPrecondition (MODEL_HAS_VERSIONS, MODEL_PROTECTED).
        """
        self._thread.run(
            self._async.delete_model(model, force=force, etag=etag, timeout_seconds=timeout_seconds)
        )

    def version(self, model: str, number: int, *, timeout_seconds: float | None = None) -> Version:
        """One version. Raises NotFound."""
        return self._thread.run(self._async.version(model, number, timeout_seconds=timeout_seconds))

    def versions(self, model: str, *, timeout_seconds: float | None = None) -> list[Version]:
        """A model's versions, newest first. Raises NotFound."""
        return self._thread.run(self._async.versions(model, timeout_seconds=timeout_seconds))

    def delete_version(
        self, model: str, number: int, *, etag: str = "", timeout_seconds: float | None = None
    ) -> None:
        """Delete a version. Raises NotFound, Aborted, and FailedPrecondition while something names it."""
        self._thread.run(
            self._async.delete_version(model, number, etag=etag, timeout_seconds=timeout_seconds)
        )

    def get_alias(self, model: str, alias: str, *, timeout_seconds: float | None = None) -> Alias:
        """Return where an alias points. Raises NotFound."""
        return self._thread.run(
            self._async.get_alias(model, alias, timeout_seconds=timeout_seconds)
        )

    def aliases(self, model: str, *, timeout_seconds: float | None = None) -> list[Alias]:
        """A model's aliases, by name. Raises NotFound."""
        return self._thread.run(self._async.aliases(model, timeout_seconds=timeout_seconds))

    def alias(
        self,
        model: str,
        alias: str,
        version: int | str,
        *,
        etag: str = "",
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        timeout_seconds: float | None = None,
    ) -> Alias:
        """Point an alias at a version (a number, or what another alias names), creating it if need be.

        Raises NotFound, Aborted; FailedPrecondition for a version that would break callers of the alias
        (SIGNATURE_CHANGED) and for one that no replica serves (VERSION_NOT_SERVED), unless allowed.
        """
        return self._thread.run(
            self._async.alias(
                model,
                alias,
                version,
                etag=etag,
                allow_signature_change=allow_signature_change,
                allow_unready=allow_unready,
                timeout_seconds=timeout_seconds,
            )
        )

    def set_aliases(
        self,
        model: str,
        versions: Mapping[str, int | str],
        *,
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        timeout_seconds: float | None = None,
    ) -> list[Alias]:
        """Point several aliases at versions in one change: all of them, or none where one is refused.

        `versions` has the number for each alias, or another alias that names it now. Raises as `alias`
        does, and InvalidArgument (ALIASES_INVALID) for none or over 1000.
        """
        return self._thread.run(
            self._async.set_aliases(
                model,
                versions,
                allow_signature_change=allow_signature_change,
                allow_unready=allow_unready,
                timeout_seconds=timeout_seconds,
            )
        )

    def delete_alias(
        self, model: str, alias: str, *, etag: str = "", timeout_seconds: float | None = None
    ) -> None:
        """Delete an alias. Raises NotFound, Aborted."""
        self._thread.run(
            self._async.delete_alias(model, alias, etag=etag, timeout_seconds=timeout_seconds)
        )

    def resolve(
        self, model: str, version: int | str, *, timeout_seconds: float | None = None
    ) -> int:
        """The number that a version's number or alias stands for now. Raises NotFound."""
        return self._thread.run(
            self._async.resolve(model, version, timeout_seconds=timeout_seconds)
        )

    def push(
        self,
        model: str,
        source: Source,
        *,
        alias: str = "",
        config: Config | None = None,
        description: str = "",
        create_model: bool = True,
        allow_signature_change: bool = False,
        signing_key: SigningKey | None = None,
        signature_bundle: str = "",
        progress: Report | None = None,
        request_id: str = "",
        timeout_seconds: float | None = None,
    ) -> Version:
        """Push a version: an .onnx (with its external data), an archive, a folder, a graph's bytes, or
        files by their paths in the artifact.

        It is visible, durable and checked when this returns; `alias` points at it in the same change.
        `progress` is called by the thread of the event loop, which is not the caller's with `Client`.
        A push that finds the registry UNAVAILABLE is sent again with the same `request_id`, so it makes
        one version; one for which there is no room beside other pushes waits for it. Raises
        InvalidArgument for what the registry refuses, FailedPrecondition
        (SIGNATURE_CHANGED) for a version that would break callers of `alias`, unless allowed.

        With a `signing_key` it is signed here; `signature_bundle` is one that was made elsewhere. Then a
        file model.sig at the top of a folder is left out, and archives cannot be signed.
        """
        return self._thread.run(
            self._async.push(
                model,
                source,
                alias=alias,
                config=config,
                description=description,
                create_model=create_model,
                allow_signature_change=allow_signature_change,
                signing_key=signing_key,
                signature_bundle=signature_bundle,
                progress=progress,
                request_id=request_id,
                timeout_seconds=timeout_seconds,
            )
        )

    def pull(
        self, model: str, number: int, folder: Path | str, *, timeout_seconds: float | None = None
    ) -> Version:
        """Write a version's files into a folder, which must be empty or not there, and give the version.

        The signature, where there is one, is `model.sig` beside them. A download that breaks goes on where
        it was. Raises NotFound, DataLoss (BLOB_DAMAGED) for bytes that are not what was pushed,
        FailedPrecondition (FOLDER_NOT_EMPTY).
        """
        return self._thread.run(
            self._async.pull(model, number, folder, timeout_seconds=timeout_seconds)
        )

    def route(self, model: str, *, timeout_seconds: float | None = None) -> Route:
        """A model's route. Raises NotFound, and FailedPrecondition before its first version."""
        return self._thread.run(self._async.route(model, timeout_seconds=timeout_seconds))

    def set_route(
        self,
        model: str,
        stable: int | str,
        canary: int | str | None = None,
        weight: float | None = None,
        *,
        more_canaries: Mapping[int | str, float] | None = None,
        sticky_key: RequestKey | str | None = None,
        match: Mapping[str, int | str] | None = None,
        shadow: int | str | None = None,
        shadow_share: float | None = None,
        etag: str = "",
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        timeout_seconds: float | None = None,
    ) -> Route:
        """Set the whole route: `weight` percent to `canary`, the rest to `stable`; numbers or aliases.

        `more_canaries` are further versions with their weights. With a `sticky_key`, `header:NAME` or
        `parameter:NAME`, the same text there always gets the same version. `match` sends requests to
        versions of their own by conditions such as `header:x-beta=1` (equal) or `parameter:user^=test-`
        (begins so), the first that fits; `shadow` gets copies of `shadow_share` percent of the requests and
        answers nobody.

        Raises NotFound, Aborted where the etag is not the present one, InvalidArgument for what is
        incomplete or malformed; FailedPrecondition for a version that would break callers
        (SIGNATURE_CHANGED) and for one that no replica serves (VERSION_NOT_SERVED), unless allowed.
        """
        return self._thread.run(
            self._async.set_route(
                model,
                stable,
                canary,
                weight,
                more_canaries=more_canaries,
                sticky_key=sticky_key,
                match=match,
                shadow=shadow,
                shadow_share=shadow_share,
                etag=etag,
                allow_signature_change=allow_signature_change,
                allow_unready=allow_unready,
                timeout_seconds=timeout_seconds,
            )
        )

    def put_route(
        self,
        route: Route,
        *,
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        timeout_seconds: float | None = None,
    ) -> Route:
        """Set the whole route to `route`, on condition of its etag if it has one. As `set_route`."""
        return self._thread.run(
            self._async.put_route(
                route,
                allow_signature_change=allow_signature_change,
                allow_unready=allow_unready,
                timeout_seconds=timeout_seconds,
            )
        )

    def rollback(
        self, model: str, *, allow_unready: bool = False, timeout_seconds: float | None = None
    ) -> Route:
        """Make the version that was stable before stable again; end canaries, match rules and shadow.

        It is for emergencies, so another signature does not stop it. Raises FailedPrecondition
        (NO_PREVIOUS_VERSION, VERSION_NOT_SERVED), and Aborted where the route moved meanwhile.
        """
        return self._thread.run(
            self._async.rollback(
                model, allow_unready=allow_unready, timeout_seconds=timeout_seconds
            )
        )

    def replicas(
        self, *, model: str = "", timeout_seconds: float | None = None
    ) -> list[ReplicaRecord]:
        """The replicas that are there now, by id, with what each has loaded, of one model or of all."""
        return self._thread.run(self._async.replicas(model=model, timeout_seconds=timeout_seconds))

    def wait_until_ready(
        self, model: str, version: int | str, *, timeout_seconds: float | None = None
    ) -> None:
        """Wait until every replica, and at least one, serves a version (a number or an alias).

        Raises FailedPrecondition (VERSION_UNAVAILABLE) with the reasons of replicas that could not
        load it, Unavailable (STATE_ACCESS_DENIED) where one is not let into the shared state, and
        DeadlineExceeded (VERSION_NOT_READY) that says what each replica was waiting for.
        """
        self._thread.run(
            self._async.wait_until_ready(model, version, timeout_seconds=timeout_seconds)
        )

    def watch(self, start_revision: int = 0, model: str = "") -> Generator[Change, None, None]:
        """Every change after a revision, in order, of one model or of all, until the reader stops.

        A watch that breaks goes on where it was, also where it left changes of other models out. Raises
        OutOfRange where changes after the revision are no longer kept, or are those of another history
        (HISTORY_DIFFERS), and Unavailable where the registry stays away.
        """
        return self._thread.iterate(lambda: self._async.watch(start_revision, model))

    def create_api_key(
        self,
        subject: str,
        *,
        ttl_seconds: float | None = None,
        note: str = "",
        grants: Grants = (),
        timeout_seconds: float | None = None,
    ) -> NewApiKey:
        """Make an API key; its `secret` is told this once. `grants` has roles to grant with it.

        It is asked for once: where the answer got lost, there is a key that nobody knows, to be revoked.
        Raises ResourceExhausted (TOO_MANY_API_KEYS), NotFound (ROLE_NOT_FOUND), InvalidArgument.
        """
        return self._thread.run(
            self._async.create_api_key(
                subject,
                ttl_seconds=ttl_seconds,
                note=note,
                grants=grants,
                timeout_seconds=timeout_seconds,
            )
        )

    def api_keys(self, subject: str = "", *, timeout_seconds: float | None = None) -> list[ApiKey]:
        """All API keys, or those of a subject; those that have ended for up to 30 days."""
        return self._thread.run(self._async.api_keys(subject, timeout_seconds=timeout_seconds))

    def rotate_api_key(
        self,
        key_id: str,
        *,
        overlap_seconds: float | None = None,
        ttl_seconds: float | None = None,
        timeout_seconds: float | None = None,
    ) -> NewApiKey:
        """Make another key for a key's subject; the present one ends after the overlap (1 day).

        Raises NotFound, FailedPrecondition (API_KEY_ENDED), ResourceExhausted (TOO_MANY_API_KEYS).
        """
        return self._thread.run(
            self._async.rotate_api_key(
                key_id,
                overlap_seconds=overlap_seconds,
                ttl_seconds=ttl_seconds,
                timeout_seconds=timeout_seconds,
            )
        )

    def revoke_api_key(self, key_id: str, *, timeout_seconds: float | None = None) -> ApiKey:
        """Revoke an API key for ever. Raises NotFound."""
        return self._thread.run(self._async.revoke_api_key(key_id, timeout_seconds=timeout_seconds))

    def roles(self, *, timeout_seconds: float | None = None) -> list[Role]:
        """All roles, those that are built in first."""
        return self._thread.run(self._async.roles(timeout_seconds=timeout_seconds))

    def set_role(
        self,
        role: str,
        rules: Sequence[Rule],
        *,
        description: str = "",
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> Role:
        """Set all of a role, creating it if need be. Raises FailedPrecondition, Aborted, "
        "InvalidArgument."""
        return self._thread.run(
            self._async.set_role(
                role, rules, description=description, etag=etag, timeout_seconds=timeout_seconds
            )
        )

    def delete_role(
        self, role: str, *, etag: str = "", timeout_seconds: float | None = None
    ) -> None:
        """Delete a role. Raises NotFound, Aborted, FailedPrecondition (ROLE_IN_USE, ROLE_BUILT_IN)."""
        self._thread.run(self._async.delete_role(role, etag=etag, timeout_seconds=timeout_seconds))

    def bindings(self, subject: str = "", *, timeout_seconds: float | None = None) -> list[Binding]:
        """What all subjects have, or one of them."""
        return self._thread.run(self._async.bindings(subject, timeout_seconds=timeout_seconds))

    def set_binding(
        self,
        subject: str,
        grants: Grants,
        limits: CallLimits | None = None,
        *,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> Binding:
        """Set all that a subject has; nothing at all ends its binding.

        Raises NotFound (ROLE_NOT_FOUND), Aborted, FailedPrecondition (LAST_ADMIN), InvalidArgument.
        """
        return self._thread.run(
            self._async.set_binding(
                subject, grants, limits, etag=etag, timeout_seconds=timeout_seconds
            )
        )

    def grant_role(
        self,
        subject: str,
        role: str = "",
        models: Sequence[str] = (),
        *,
        limits: CallLimits | None = None,
        timeout_seconds: float | None = None,
    ) -> Binding:
        """Grant a role for models by patterns of their names (`*`: any text), or set limits, or both.

        Raises NotFound (ROLE_NOT_FOUND), InvalidArgument.
        """
        return self._thread.run(
            self._async.grant_role(
                subject, role, models, limits=limits, timeout_seconds=timeout_seconds
            )
        )

    def revoke_role(
        self, subject: str, role: str, *, timeout_seconds: float | None = None
    ) -> Binding:
        """Take a role from a subject. Raises NotFound, FailedPrecondition (LAST_ADMIN)."""
        return self._thread.run(
            self._async.revoke_role(subject, role, timeout_seconds=timeout_seconds)
        )

    def caller(self, *, timeout_seconds: float | None = None) -> CallerInfo:
        """Who this client is to the registry, and what it may do. Raises Unauthenticated."""
        return self._thread.run(self._async.caller(timeout_seconds=timeout_seconds))

    def audit(
        self,
        *,
        model: str = "",
        actor: str = "",
        kind: str = "",
        since: float | None = None,
        until: float | None = None,
        limit: int = 100,
        oldest_first: bool = False,
        with_stored: bool = False,
        timeout_seconds: float | None = None,
    ) -> list[LoggedChange]:
        """The changes that are kept, newest first: of one model to who may read it, of all to admins.

        `kind` is `route.update`, or `route` for all that was done to routes; `since` and `until` are in
        seconds since the Unix epoch. At most `limit` come, 0 for all that are kept. `with_stored` adds each
        entry as it is stored, where no model is named.
        """
        return self._thread.run(
            self._async.audit(
                model=model,
                actor=actor,
                kind=kind,
                since=since,
                until=until,
                limit=limit,
                oldest_first=oldest_first,
                with_stored=with_stored,
                timeout_seconds=timeout_seconds,
            )
        )

    def newest_change(self, *, timeout_seconds: float | None = None) -> tuple[int, str]:
        """The revision and the hash of the newest change, as the state says; (0, '') before the first."""
        return self._thread.run(self._async.newest_change(timeout_seconds=timeout_seconds))
