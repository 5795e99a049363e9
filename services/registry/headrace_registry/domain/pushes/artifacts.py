"""Artifacts: a version is pushed and deleted together with its bytes.

The order of a push is what keeps half-written things out of sight: receive into staging, compare size and
digest, check in a child process, then store the blobs and commit the version that names them.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from headrace import errors
from headrace.state.changes import Change
from headrace.state.declared_shapes import with_declared_shapes
from headrace.state.language_records import EncodingConfig, LanguageFacts, VersionKind
from headrace.state.records import (
    ArtifactFile,
    DeclaredShapes,
    ServingConfig,
    SessionOptions,
    Signature,
    WarmUp,
)
from headrace_registry.domain.belongings import files_of_belongings
from headrace_registry.domain.catalog_store import CatalogStore, IdempotencyKey
from headrace_registry.domain.decisions.default_config import (
    BatchInvariance,
    batching_notice,
    check_config,
    default_config,
    without_refused_batching,
)
from headrace_registry.domain.decisions.gated import check_gate_of_push
from headrace_registry.domain.decisions.text_config import check_text_config
from headrace_registry.domain.pushes.blob_garbage import BlobGarbage
from headrace_registry.domain.pushes.uploads import Upload, Uploads
from headrace_registry.domain.resources.annotation_edits import AnnotationEdit
from headrace_registry.domain.resources.models import ModelRemoval, check_description, delete_model
from headrace_registry.domain.resources.versions import (
    NewVersion,
    VersionRemoval,
    delete_version,
    model_for_push,
    publish_version,
    said_from_the_start,
)

MAX_GRAPH_BYTES = (2 << 30) - 1
"""Of a protobuf message: no ONNX file can be larger."""


class Format(enum.StrEnum):
    """The kinds of pushed files."""

    ONNX = "onnx"
    ZIP = "zip"
    TAR = "tar"
    TAR_GZ = "tar.gz"


@dataclass(frozen=True, slots=True)
class RequestedOptions:
    """The options of a serving config that only a look at the artifact can prove right."""

    session: SessionOptions = field(default_factory=SessionOptions)
    warm_up: WarmUp = field(default_factory=WarmUp)
    max_batch_size: int | None = None
    """None: as the registry proposes."""
    shapes: DeclaredShapes = field(default_factory=DeclaredShapes)
    kind: VersionKind | None = None
    """None: as the artifact looks."""
    encoding: EncodingConfig = EncodingConfig()


@dataclass(frozen=True, slots=True)
class Push:
    """A push as it was announced; `configure` gives the config to serve with, over a proposal."""

    model: str
    format: Format
    size_bytes: int
    sha256: str
    configure: Callable[[ServingConfig], ServingConfig]
    description: str = ""
    alias: str = ""
    create_model: bool = False
    allow_signature_change: bool = False
    signature_bundle: str = ""
    creation: IdempotencyKey | None = None
    asked: RequestedOptions = field(default_factory=RequestedOptions)
    said: AnnotationEdit | None = None
    """What is said of the version from the start."""
    allow_gate_failure: bool = False


@dataclass(frozen=True, slots=True)
class Pushed:
    """The bytes that arrived as announced, and the model that they are for."""

    model: str
    file: Path
    format: Format
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Received:
    """The bytes that arrived."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Checked:
    """The checker's findings on an artifact that it did not refuse."""

    graph_path: str
    signature: Signature
    invariance: BatchInvariance = field(default_factory=BatchInvariance)
    notices: tuple[str, ...] = ()
    """What its pusher should know, a sentence of one line each."""
    language: LanguageFacts | None = None
    """What its files say, where it is a version of text."""
    proposed: ServingConfig | None = None
    """How it is served where its push does not say; None: by its signature."""


class Checker(Protocol):
    """Unpacks and checks artifacts that nobody trusts."""

    def admit(self, size: int, file_format: Format) -> None:
        """Refuse by its announced size what no check could take. Raises ResourceExhausted."""

    async def check(self, pushed: Pushed, folder: Path, asked: RequestedOptions) -> Checked:
        """Unpack a pushed file into `folder`, check it and what is asked.

        Raises InvalidArgument, ResourceExhausted, FailedPrecondition.
        """


class Trust(Protocol):
    """Says which versions must be signed, and by whom."""

    def admit(self, model: str, text: str) -> None:
        """Refuse what cannot be the signature that a version needs. Raises as `check` does."""

    def check(self, model: str, text: str, files: Mapping[str, str]) -> str:
        """See that a version's files are signed as they must be; gives a sentence about that, or ''.

        Raises FailedPrecondition, InvalidArgument.
        """


class BlobStore(Protocol):
    """Stores the bytes of artifacts by their SHA-256."""

    def staging(self) -> AbstractAsyncContextManager[Path]:
        """A private folder on the store's file system, gone with all in it on leaving."""

    async def receive(self, chunks: AsyncIterator[bytes], file: Path) -> Received:
        """Write what arrives."""

    async def describe(self, folder: Path) -> tuple[ArtifactFile, ...]:
        """The files of a folder with their digests."""


class Artifacts:
    """Pushes and deletes versions, and keeps every blob that a version names."""

    def __init__(
        self,
        store: CatalogStore,
        blobs: BlobStore,
        garbage: BlobGarbage,
        checker: Checker,
        *,
        max_bytes: int,
        uploads: Uploads,
        trust: Callable[[], Trust],
        counted: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._garbage = garbage
        self._checker = checker
        self._max_bytes = max_bytes
        self.uploads = uploads
        """Their places, which others who send files share."""
        self._trust = trust
        self._counted = counted

    @contextmanager
    def opened(self) -> Iterator[Upload]:
        """A place for a push while inside, which is counted as one. Raises ResourceExhausted."""
        with self._counted(), self.uploads.open() as upload:
            yield upload

    async def push(
        self, push: Push, upload: Upload, chunks: AsyncIterator[bytes], actor: str
    ) -> Change:
        """Publish what arrives as the next version; a failure leaves nothing behind.

        Raises InvalidArgument for other bytes than announced and for what the checker refuses,
        FailedPrecondition for operators that are not here and for a signature that is not trusted,
        ResourceExhausted over a limit, DeadlineExceeded for a caller that stalls, NotFound for the
        model, Unavailable.
        """
        made = await self._store.find_repeated(push.model, push.creation)
        if made is not None:
            return made
        self._admit(push, upload, actor)
        async with self._blobs.staging() as staging:
            await self._receive(push, upload.paced(chunks), staging / "pushed")
            return await self._publish(push, staging, actor)

    async def delete_version(self, removal: VersionRemoval, actor: str) -> Change:
        """Delete a version, and the blobs that no other names. Raises as its decision does, Unavailable."""
        change = partial(
            self._store.change, removal.model, partial(delete_version, removal=removal), actor
        )
        return await self._garbage.delete(self._files_of(removal.model, removal.number), change)

    async def delete_model(self, removal: ModelRemoval, actor: str) -> Change:
        """Delete a model, and the blobs that no other names. Raises as its decision does, Unavailable."""
        change = partial(
            self._store.change, removal.name, partial(delete_model, removal=removal), actor
        )
        return await self._garbage.delete(self._files_of(removal.name), change)

    def _files_of(self, model: str, number: int | None = None) -> Iterator[ArtifactFile]:
        """The files of a model's versions, or of one, and of what belongs to them, read late."""
        catalog = self._store.read()
        for artifact in catalog.artifacts(model):
            if number in (None, artifact.number):
                yield from artifact.files
        numbers = catalog.numbers_of(model) if number is None else [number]
        yield from files_of_belongings(catalog, model, numbers)

    def _admit(self, push: Push, upload: Upload, actor: str) -> None:
        """Refuse before the bytes are sent what would be refused after."""
        if push.size_bytes > self._max_bytes:
            raise errors.ResourceExhausted(
                "ARTIFACT_TOO_LARGE",
                f"the artifact has {push.size_bytes} bytes; the registry takes up to {self._max_bytes} "
                "(its setting max_artifact_bytes)",
                facts={"limit": str(self._max_bytes), "setting": "max_artifact_bytes"},
            )
        if push.format is Format.ONNX and push.size_bytes > MAX_GRAPH_BYTES:
            raise errors.ResourceExhausted(
                "ARTIFACT_TOO_LARGE",
                f"the artifact has {push.size_bytes} bytes, an ONNX file has {MAX_GRAPH_BYTES} at most: "
                "save its weights as external data, and push the folder",
                facts={"limit": str(MAX_GRAPH_BYTES)},
            )
        self._trust().admit(push.model, push.signature_bundle)
        self._checker.admit(push.size_bytes, push.format)
        upload.reserve(push.size_bytes, 1 if push.format is Format.ONNX else 2)
        check_description(push.description)
        context = self._store.decision_context(actor)
        model = model_for_push(
            context, push.model, create_model=push.create_model, alias=push.alias
        )
        number = model.last_number + 1
        said = said_from_the_start(context, push.said, number)
        metrics = said.metrics if said else ()
        check_gate_of_push(
            context.catalog, model, number, push.alias, metrics, allowed=push.allow_gate_failure
        )

    async def _receive(self, push: Push, chunks: AsyncIterator[bytes], file: Path) -> None:
        received = await self._blobs.receive(_up_to(chunks, push.size_bytes), file)
        if received.size_bytes != push.size_bytes:
            raise _wrong_size(push.size_bytes, f"ended after {received.size_bytes}")
        if received.sha256 != push.sha256:
            raise errors.InvalidArgument(
                "ARTIFACT_DIGEST_MISMATCH",
                f"the artifact's SHA-256 is {received.sha256}, announced was {push.sha256}: "
                "the bytes changed on the way, or the file while it was read",
                facts={"received": received.sha256, "announced": push.sha256},
            )

    async def _publish(self, push: Push, staging: Path, actor: str) -> Change:
        folder = staging / "artifact"
        file = staging / "pushed"
        pushed = Pushed(push.model, file, push.format, push.size_bytes, push.sha256)
        checked = await self._checker.check(pushed, folder, push.asked)
        files = await self._blobs.describe(folder)
        digests = {file.path: file.sha256 for file in files}
        signed = self._trust().check(push.model, push.signature_bundle, digests)
        new = _new_version(push, checked, files, signed)
        decide = partial(publish_version, new=new)
        commit = partial(self._store.change, push.model, decide, actor, push.creation)
        return await self._garbage.publish(folder, new.files, commit)


def _new_version(
    push: Push, checked: Checked, files: tuple[ArtifactFile, ...], signed: str
) -> NewVersion:
    served = _served_text(push, checked) if checked.language else _served_tensors(push, checked)
    return NewVersion(
        model=push.model,
        files=files,
        graph_path=checked.graph_path,
        signature=served.signature,
        config=served.config,
        description=push.description,
        alias=push.alias,
        create_model=push.create_model,
        notices=(*served.notices, *checked.notices, *([signed] if signed else [])),
        allow_signature_change=push.allow_signature_change,
        signature_bundle=push.signature_bundle,
        language=checked.language,
        said=push.said,
        allow_gate_failure=push.allow_gate_failure,
    )


@dataclass(frozen=True, slots=True)
class _Served:
    """The settings by which a version will be served, and what there is to say of it."""

    signature: Signature
    config: ServingConfig
    notices: tuple[str, ...] = ()


def _served_text(push: Push, checked: Checked) -> _Served:
    config = push.configure(checked.proposed or ServingConfig())
    check_text_config(config, checked.language)
    return _Served(checked.signature, config)


def _served_tensors(push: Push, checked: Checked) -> _Served:
    invariance = checked.invariance
    configured = push.configure(default_config(checked.signature, invariance))
    config = without_refused_batching(configured, invariance)
    batches = config.batching.max_batch_size > 0
    signature = with_declared_shapes(checked.signature, config.shapes, batches=batches)
    check_text_config(config, None)
    check_config(config, signature)
    said = batching_notice(config, signature, invariance, push.asked.max_batch_size)
    return _Served(signature, config, (said,))


async def _up_to(chunks: AsyncIterator[bytes], announced: int) -> AsyncIterator[bytes]:
    """The chunks, refused as soon as they are more than announced: nobody fills the disk by lying."""
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if received > announced:
            raise _wrong_size(announced, f"goes on after {announced}")
        yield chunk
        del chunk  # an upload that stalls must not hold it


def _wrong_size(announced: int, what: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(
        "ARTIFACT_SIZE_MISMATCH",
        f"the artifact was announced with {announced} bytes, but {what}",
        facts={"announced": str(announced)},
    )
