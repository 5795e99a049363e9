"""The client of the suite for code without an event loop: every method waits for AsyncClient's."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from headrace.client.artifact import Report, Source
from headrace.client.async_client import AsyncClient
from headrace.client.inference import IndexEntry
from headrace.client.loop_thread import LoopThread
from headrace.client.push import Config
from headrace.client.resources import Alias, Change, Model, Route, Statistics, Version
from headrace.client.results import InferResult, Parameter
from headrace.client.settings import ClientSettings
from headrace.state.records import ReplicaRecord

if TYPE_CHECKING:  # numpy is loaded by the first inference
    from headrace.client.binding import Inputs
    from headrace.client.tensors import ModelMetadata


class Client:
    """Push, route, infer and watch: `with Client() as client`. Threads may share one.

    So may a process and those that it forks, as long as none was connected before: see `forking`.

    Arguments, errors and what each method promises are those of `AsyncClient`. Leaving the block, or
    `close`, ends the connections and the thread behind them.
    """

    def __init__(
        self,
        *,
        registry: str | None = None,
        inference: str | None = None,
        monitor: str | None = None,
        actor: str | None = None,
        timeout_seconds: float | None = None,
        settings: ClientSettings | None = None,
    ) -> None:
        self._async = AsyncClient(
            registry=registry,
            inference=inference,
            monitor=monitor,
            actor=actor,
            timeout_seconds=timeout_seconds,
            settings=settings,
        )
        self._thread = LoopThread()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """End the connections and the thread; calls still running end as cancelled."""
        if not self._thread.closed:
            self._thread.run(self._async.close())
            self._thread.close()

    def create_model(
        self,
        model: str,
        *,
        description: str = "",
        labels: Mapping[str, str] | None = None,
        keep_latest: int | None = None,
        pinned: bool = False,
        request_id: str = "",
        timeout_seconds: float | None = None,
    ) -> Model:
        """Create a model."""
        return self._thread.run(
            self._async.create_model(
                model,
                description=description,
                labels=labels,
                keep_latest=keep_latest,
                pinned=pinned,
                request_id=request_id,
                timeout_seconds=timeout_seconds,
            )
        )

    def model(self, model: str, *, timeout_seconds: float | None = None) -> Model:
        """A model."""
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
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> Model:
        """Change what is given of a model, leave the rest."""
        return self._thread.run(
            self._async.update_model(
                model,
                description=description,
                labels=labels,
                keep_latest=keep_latest,
                pinned=pinned,
                etag=etag,
                timeout_seconds=timeout_seconds,
            )
        )

    def revision(self, *, timeout_seconds: float | None = None) -> int:
        """The revision that the registry's state has now."""
        return self._thread.run(self._async.revision(timeout_seconds=timeout_seconds))

    def delete_model(
        self,
        model: str,
        *,
        force: bool = False,
        etag: str = "",
        timeout_seconds: float | None = None,
    ) -> None:
        """Delete a model, with all its versions if forced."""
        self._thread.run(
            self._async.delete_model(model, force=force, etag=etag, timeout_seconds=timeout_seconds)
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
        progress: Report | None = None,
        request_id: str = "",
        timeout_seconds: float | None = None,
    ) -> Version:
        """Push a version; `progress` is called on another thread."""
        return self._thread.run(
            self._async.push(
                model,
                source,
                alias=alias,
                config=config,
                description=description,
                create_model=create_model,
                allow_signature_change=allow_signature_change,
                progress=progress,
                request_id=request_id,
                timeout_seconds=timeout_seconds,
            )
        )

    def version(self, model: str, number: int, *, timeout_seconds: float | None = None) -> Version:
        """One version."""
        return self._thread.run(self._async.version(model, number, timeout_seconds=timeout_seconds))

    def versions(self, model: str, *, timeout_seconds: float | None = None) -> list[Version]:
        """A model's versions, newest first."""
        return self._thread.run(self._async.versions(model, timeout_seconds=timeout_seconds))

    def delete_version(
        self, model: str, number: int, *, etag: str = "", timeout_seconds: float | None = None
    ) -> None:
        """Delete a version."""
        self._thread.run(
            self._async.delete_version(model, number, etag=etag, timeout_seconds=timeout_seconds)
        )

    def get_alias(self, model: str, alias: str, *, timeout_seconds: float | None = None) -> Alias:
        """Where an alias points."""
        return self._thread.run(
            self._async.get_alias(model, alias, timeout_seconds=timeout_seconds)
        )

    def aliases(self, model: str, *, timeout_seconds: float | None = None) -> list[Alias]:
        """A model's aliases, by name."""
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
        """Point an alias at a version, creating it if need be."""
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

    def delete_alias(
        self, model: str, alias: str, *, etag: str = "", timeout_seconds: float | None = None
    ) -> None:
        """Delete an alias."""
        self._thread.run(
            self._async.delete_alias(model, alias, etag=etag, timeout_seconds=timeout_seconds)
        )

    def resolve(
        self, model: str, version: int | str, *, timeout_seconds: float | None = None
    ) -> int:
        """The number that a version's number or alias stands for now."""
        return self._thread.run(
            self._async.resolve(model, version, timeout_seconds=timeout_seconds)
        )

    def route(self, model: str, *, timeout_seconds: float | None = None) -> Route:
        """A model's route."""
        return self._thread.run(self._async.route(model, timeout_seconds=timeout_seconds))

    def set_route(
        self,
        model: str,
        stable: int | str,
        canary: int | str | None = None,
        weight: float | None = None,
        *,
        etag: str = "",
        allow_signature_change: bool = False,
        allow_unready: bool = False,
        timeout_seconds: float | None = None,
    ) -> Route:
        """Set the whole route in one step."""
        return self._thread.run(
            self._async.set_route(
                model,
                stable,
                canary,
                weight,
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
        """Set the whole route to `route`, on condition of its etag if it has one."""
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
        """Make the version that was stable before stable again, and end a canary's trial."""
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
        """Wait until every replica, and at least one, serves a version."""
        self._thread.run(
            self._async.wait_until_ready(model, version, timeout_seconds=timeout_seconds)
        )

    def watch(self, start_revision: int = 0, model: str = "") -> Generator[Change, None, None]:
        """Every change after a revision, in order, until the reader stops."""
        return self._thread.iterate(lambda: self._async.watch(start_revision, model))

    def infer(
        self,
        model: str,
        inputs: Inputs,
        *,
        version: int | str = "",
        outputs: Iterable[str] = (),
        parameters: Mapping[str, Parameter] | None = None,
        request_id: str = "",
        timeout_seconds: float | None = None,
    ) -> InferResult:
        """Run a model on `inputs`."""
        return self._thread.run(
            self._async.infer(
                model,
                inputs,
                version=version,
                outputs=outputs,
                parameters=parameters,
                request_id=request_id,
                timeout_seconds=timeout_seconds,
            )
        )

    def model_metadata(
        self, model: str, version: int | str = "", *, timeout_seconds: float | None = None
    ) -> ModelMetadata:
        """What a served version takes and gives."""
        return self._thread.run(
            self._async.model_metadata(model, version, timeout_seconds=timeout_seconds)
        )

    def server_live(self, *, timeout_seconds: float | None = None) -> bool:
        """Whether the replica answers at all."""
        return self._thread.run(self._async.server_live(timeout_seconds=timeout_seconds))

    def server_ready(self, *, timeout_seconds: float | None = None) -> bool:
        """Whether the replica serves what it should."""
        return self._thread.run(self._async.server_ready(timeout_seconds=timeout_seconds))

    def model_ready(
        self, model: str, version: int | str = "", *, timeout_seconds: float | None = None
    ) -> bool:
        """Whether the replica serves a version."""
        return self._thread.run(
            self._async.model_ready(model, version, timeout_seconds=timeout_seconds)
        )

    def repository_index(self, *, timeout_seconds: float | None = None) -> list[IndexEntry]:
        """The versions that the replica has, had, or tried to have."""
        return self._thread.run(self._async.repository_index(timeout_seconds=timeout_seconds))

    def statistics(
        self,
        window_seconds: float = 60.0,
        model: str = "",
        version: int = 0,
        *,
        by_replica: bool = False,
        timeout_seconds: float | None = None,
    ) -> Statistics:
        """What happened in the last `window_seconds`."""
        return self._thread.run(
            self._async.statistics(
                window_seconds,
                model,
                version,
                by_replica=by_replica,
                timeout_seconds=timeout_seconds,
            )
        )

    def watch_statistics(
        self,
        window_seconds: float = 60.0,
        model: str = "",
        version: int = 0,
        *,
        by_replica: bool = False,
        interval_seconds: float = 1.0,
    ) -> Generator[Statistics, None, None]:
        """The same, again and again, until the reader stops."""
        return self._thread.iterate(
            lambda: self._async.watch_statistics(
                window_seconds,
                model,
                version,
                by_replica=by_replica,
                interval_seconds=interval_seconds,
            )
        )
