"""The registry for code without an event loop: every method waits for AsyncClient's.

Written by `make pages` from AsyncClient: change that.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

from headrace.artifacts.signatures import SigningKey
from headrace.client.annotation_messages import Metrics
from headrace.client.annotation_resources import FoundVersion, Lineage, VersionAnnotations
from headrace.client.artifact import Report, Source
from headrace.client.async_client import AsyncClient
from headrace.client.loop_thread import LoopThread
from headrace.client.push import Config
from headrace.client.reference_resources import VersionReference
from headrace.client.resources import Alias, Change, Model, Route, Version
from headrace.gates import Verdict
from headrace.state.gate_records import GateRecord
from headrace.state.language_records import VersionKind
from headrace.state.records import ReplicaRecord
from headrace.state.route_records import RequestKey


class BlockingRegistryCalls:
    """Models, versions, aliases, routes, pushes, replicas, references and annotations."""

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
        gate: GateRecord | None = None,
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
                gate=gate,
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
        gate: GateRecord | None = None,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> Model:
        """Change what is given of a model, leave the rest; `GateRecord()` takes its gate away.

        Raises NotFound, Aborted, InvalidArgument (GATE_INVALID, MODEL_INVALID).
        """
        return self._thread.run(
            self._async.update_model(
                model,
                description=description,
                labels=labels,
                keep_latest=keep_latest,
                pinned=pinned,
                protected=protected,
                gate=gate,
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
        allow_gate_failure: bool = False,
        timeout_seconds: float | None = None,
    ) -> Alias:
        """Point an alias at a version (a number, or what another alias names), creating it if need be.

        Raises NotFound, Aborted; FailedPrecondition for a version that would break callers of the alias
        (SIGNATURE_CHANGED), for one that no replica serves (VERSION_NOT_SERVED) and for one that does not
        pass the model's gate (GATE_NOT_PASSED), unless allowed.
        """
        return self._thread.run(
            self._async.alias(
                model,
                alias,
                version,
                etag=etag,
                allow_signature_change=allow_signature_change,
                allow_unready=allow_unready,
                allow_gate_failure=allow_gate_failure,
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
        allow_gate_failure: bool = False,
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
                allow_gate_failure=allow_gate_failure,
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
        allow_gate_failure: bool = False,
        signing_key: SigningKey | None = None,
        signature_bundle: str = "",
        graph: str = "",
        kind: VersionKind | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Metrics = (),
        lineage: Lineage | None = None,
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
        (SIGNATURE_CHANGED) for a version that would break callers of `alias`, and (GATE_NOT_PASSED) for one
        that gets callers and brings no `metrics` that pass the model's gate, unless allowed.

        Of a language model's folder the graph is pushed that genai_config.json names, or else model.onnx
        at the top or in `onnx`, with its weights and the small files; `graph` chooses another by its path.
        What callers ask the version for shows in its files, unless `kind` says it: as TENSORS, a decoder
        is taken as any other graph.

        `tags`, `metrics` and `lineage` are said of the version from the start: see `annotate`.

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
                allow_gate_failure=allow_gate_failure,
                signing_key=signing_key,
                signature_bundle=signature_bundle,
                graph=graph,
                kind=kind,
                tags=tags,
                metrics=metrics,
                lineage=lineage,
                progress=progress,
                request_id=request_id,
                timeout_seconds=timeout_seconds,
            )
        )

    def pull(
        self,
        model: str,
        number: int,
        folder: Path | str,
        *,
        attachments: bool = False,
        timeout_seconds: float | None = None,
    ) -> Version:
        """Write a version's files into a folder, which must be empty or not there, and give the version.

        The signature, where there is one, is `model.sig` beside them; `attachments` are in a folder of
        that name. A download that breaks goes on where
        it was. Raises NotFound, DataLoss (BLOB_DAMAGED) for bytes that are not what was pushed,
        FailedPrecondition (FOLDER_NOT_EMPTY).
        """
        return self._thread.run(
            self._async.pull(
                model, number, folder, attachments=attachments, timeout_seconds=timeout_seconds
            )
        )

    def version_file(
        self, model: str, number: int, path: str, *, timeout_seconds: float | None = None
    ) -> bytes:
        """The bytes of one file of a version, such as its labels.

        Raises NotFound (VERSION_NOT_FOUND, FILE_NOT_FOUND), DataLoss (BLOB_DAMAGED).
        """
        return self._thread.run(
            self._async.version_file(model, number, path, timeout_seconds=timeout_seconds)
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
        allow_gate_failure: bool = False,
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
        (SIGNATURE_CHANGED), for one that no replica serves (VERSION_NOT_SERVED) and for one that does not
        pass the model's gate (GATE_NOT_PASSED), unless allowed.
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
                allow_gate_failure=allow_gate_failure,
                timeout_seconds=timeout_seconds,
            )
        )

    def put_route(
        self,
        route: Route,
        *,
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        allow_gate_failure: bool = False,
        timeout_seconds: float | None = None,
    ) -> Route:
        """Set the whole route to `route`, on condition of its etag if it has one. As `set_route`."""
        return self._thread.run(
            self._async.put_route(
                route,
                allow_signature_change=allow_signature_change,
                allow_unready=allow_unready,
                allow_gate_failure=allow_gate_failure,
                timeout_seconds=timeout_seconds,
            )
        )

    def rollback(
        self, model: str, *, allow_unready: bool = False, timeout_seconds: float | None = None
    ) -> Route:
        """Make the version that was stable before stable again; end canaries, match rules and shadow.

        It is for emergencies, so neither another signature nor a gate stops it. Raises FailedPrecondition
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

    def reference(
        self, model: str, version: int | str, *, timeout_seconds: float | None = None
    ) -> VersionReference:
        """The reference of a version, by its number or an alias. Raises NotFound."""
        return self._thread.run(
            self._async.reference(model, version, timeout_seconds=timeout_seconds)
        )

    def set_reference(
        self,
        model: str,
        version: int | str,
        samples: Mapping[str, Any],
        *,
        origin: str = "",
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> VersionReference:
        """Make the reference of a version of samples: arrays with the rows first, by tensor or column.

        `x` is an input or output, `x[3]` a column of it; columns with other names are those of the only
        input. Raises InvalidArgument (SAMPLES_INVALID) for others, NotFound, Aborted, ResourceExhausted.
        """
        return self._thread.run(
            self._async.set_reference(
                model, version, samples, origin=origin, etag=etag, timeout_seconds=timeout_seconds
            )
        )

    def reference_from_traffic(
        self,
        model: str,
        version: int | str,
        window_seconds: float,
        *,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> VersionReference:
        """Make the reference of a version of what the monitor counted of it lately.

        Raises InvalidArgument (SAMPLES_INVALID) where it counted no rows, NotFound, Aborted.
        """
        return self._thread.run(
            self._async.reference_from_traffic(
                model, version, window_seconds, etag=etag, timeout_seconds=timeout_seconds
            )
        )

    def copy_reference(
        self,
        model: str,
        version: int | str,
        from_version: int | str,
        *,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> VersionReference:
        """Give a version the reference of another, and what is enforced of it. Raises NotFound, Aborted."""
        return self._thread.run(
            self._async.copy_reference(
                model, version, from_version, etag=etag, timeout_seconds=timeout_seconds
            )
        )

    def enforce(
        self,
        model: str,
        version: int | str,
        fields: Mapping[str, str],
        *,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> VersionReference:
        """Say what is done with rows that differ, by field: `count`, `flag` or `reject`.

        Raises NotFound, Aborted, InvalidArgument (ENFORCEMENT_INVALID).
        """
        return self._thread.run(
            self._async.enforce(model, version, fields, etag=etag, timeout_seconds=timeout_seconds)
        )

    def delete_reference(
        self,
        model: str,
        version: int | str,
        *,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> None:
        """Delete the reference of a version. Raises NotFound, Aborted."""
        self._thread.run(
            self._async.delete_reference(model, version, etag=etag, timeout_seconds=timeout_seconds)
        )

    def annotations(
        self, model: str, version: int | str, *, timeout_seconds: float | None = None
    ) -> VersionAnnotations:
        """All that is said of a version, by its number or an alias. Raises NotFound."""
        return self._thread.run(
            self._async.annotations(model, version, timeout_seconds=timeout_seconds)
        )

    def annotate(
        self,
        model: str,
        version: int | str,
        *,
        tags: Mapping[str, str] | None = None,
        remove_tags: Iterable[str] = (),
        description: str | None = None,
        metrics: Metrics = (),
        remove_metrics: Iterable[str] = (),
        lineage: Lineage | None = None,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> VersionAnnotations:
        """Change what is given of what is said of a version, in one change, and leave the rest.

        Things are taken away first, then set; a metric takes the place of the one with its name, slice
        and data digest, a lineage that of the whole one. Raises NotFound, InvalidArgument
        (ANNOTATIONS_INVALID), ResourceExhausted (ANNOTATIONS_TOO_LARGE), Aborted on another etag.
        """
        return self._thread.run(
            self._async.annotate(
                model,
                version,
                tags=tags,
                remove_tags=remove_tags,
                description=description,
                metrics=metrics,
                remove_metrics=remove_metrics,
                lineage=lineage,
                etag=etag,
                timeout_seconds=timeout_seconds,
            )
        )

    def attach(
        self,
        model: str,
        version: int | str,
        path: str,
        data: bytes,
        *,
        media_type: str = "",
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> VersionAnnotations:
        """Put a file to a version, in the place of the one at its path.

        Its media type is by default what its path looks like. Raises NotFound, Aborted, InvalidArgument
        (ATTACHMENT_INVALID), ResourceExhausted (ATTACHMENT_TOO_LARGE, ANNOTATIONS_TOO_LARGE).
        """
        return self._thread.run(
            self._async.attach(
                model,
                version,
                path,
                data,
                media_type=media_type,
                etag=etag,
                timeout_seconds=timeout_seconds,
            )
        )

    def attachment(
        self, model: str, version: int | str, path: str, *, timeout_seconds: float | None = None
    ) -> bytes:
        """The bytes of a file that was put to a version.

        Raises NotFound (ATTACHMENT_NOT_FOUND, and as of versions), DataLoss (BLOB_DAMAGED).
        """
        return self._thread.run(
            self._async.attachment(model, version, path, timeout_seconds=timeout_seconds)
        )

    def detach(
        self,
        model: str,
        version: int | str,
        path: str,
        *,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> VersionAnnotations:
        """Take a file away that was put to a version. Raises NotFound (ATTACHMENT_NOT_FOUND), Aborted."""
        return self._thread.run(
            self._async.detach(model, version, path, etag=etag, timeout_seconds=timeout_seconds)
        )

    def search_versions(
        self,
        filter: str = "",
        model: str = "",
        order_by: str = "",
        *,
        limit: int = 0,
        timeout_seconds: float | None = None,
    ) -> list[FoundVersion]:
        """Versions for which a filter holds, of one model or of all that may be read.

        `metrics.accuracy > 0.9 AND tags.team = "vision"`: docs/filters.md has the grammar and the fields.
        `order_by` is one of the fields, with `desc` behind it where large values are to come first;
        without it they are by model, newest first. `limit`: at most so many, 0 all. Raises InvalidArgument
        (FILTER_INVALID, ORDER_INVALID), NotFound for the model.
        """
        return self._thread.run(
            self._async.search_versions(
                filter, model, order_by, limit=limit, timeout_seconds=timeout_seconds
            )
        )

    def gate_verdicts(
        self, model: str, *, timeout_seconds: float | None = None
    ) -> dict[int, Verdict]:
        """Return what the gate of a model says of each of its versions, newest first.

        The registry asks the same when an alias or the route is to name one. Without a gate all pass.
        Raises NotFound.
        """
        return self._thread.run(self._async.gate_verdicts(model, timeout_seconds=timeout_seconds))
