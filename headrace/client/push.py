"""Pushing a version: size and digest first, then the bytes, piece by piece."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from uuid import uuid4

from google.protobuf import json_format

from headrace import errors
from headrace.artifacts.signatures import SigningKey
from headrace.client import methods, resource_messages
from headrace.client.annotation_messages import Metrics, metrics_to_proto
from headrace.client.annotation_resources import Lineage
from headrace.client.artifact import (
    Artifact,
    Progress,
    Report,
    Source,
    choose_graph,
    open_artifact,
)
from headrace.client.calls import finished
from headrace.client.catalog import RegistryCalls
from headrace.client.methods import Undecodable
from headrace.client.resources import Version
from headrace.client.signable import stored_files, without_signature
from headrace.conversion import kind_to_proto, serving_config_to_proto
from headrace.conversion.annotations import lineage_to_proto
from headrace.registry.v1 import annotation_pb2, registry_service_pb2, version_pb2
from headrace.resource_names import model_resource
from headrace.state.language_records import VersionKind
from headrace.state.records import ServingConfig
from headrace.type.v1 import serving_config_pb2

Config = Mapping[str, object] | ServingConfig | serving_config_pb2.ServingConfig
"""How to serve a version: a mapping (the message's JSON form) or message says only what differs from what
the registry proposes; a ServingConfig says all of it."""


Header = registry_service_pb2.PushVersionRequest.Header

_NO_ROOM_YET = ("TOO_MANY_PUSHES", "STAGING_FULL")


class PushCalls(RegistryCalls):
    """Push versions."""

    async def push(
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
        report = _on_this_loop(progress or (lambda _: None))
        settings = self._calls.settings
        total = settings.push_timeout_seconds if timeout_seconds is None else timeout_seconds
        deadline = time.monotonic() + total
        header = registry_service_pb2.PushVersionRequest.Header(
            parent=model_resource(model),
            alias=alias,
            serving_config=None if config is None else config_to_proto(config),
            description=description,
            create_model=create_model,
            allow_signature_change=allow_signature_change,
            allow_gate_failure=allow_gate_failure,
            request_id=request_id or str(uuid4()),
            signature_bundle=signature_bundle,
            kind=kind_to_proto(kind) if kind else None,
            annotations=_said(tags, metrics, lineage),
        )
        if signing_key or signature_bundle:
            source = await asyncio.to_thread(without_signature, source)
        if graph:
            source = await asyncio.to_thread(choose_graph, source, graph)
        with ExitStack() as stack:
            opening = open_artifact(source, report)
            artifact = await asyncio.to_thread(stack.enter_context, opening)
            header.filename, header.size_bytes = artifact.filename, artifact.size_bytes
            header.sha256 = await asyncio.to_thread(artifact.sha256, report)
            if signing_key:
                header.signature_bundle = await asyncio.to_thread(
                    _signed, model, source, signing_key
                )
            return await self._send(header, artifact, report, deadline)

    async def _send(
        self, header: Header, artifact: Artifact, report: Report, deadline: float
    ) -> Version:
        async def attempt(address: str, seconds: float) -> version_pb2.Version | Undecodable:
            parts = _parts(header, artifact, report)
            push = self._calls.upload(methods.PUSH_VERSION, address)
            metadata = self._calls.metadata()
            return await finished(push.future(parts, timeout=seconds, metadata=metadata))

        while True:
            left = max(0.0, deadline - time.monotonic())
            try:
                pushed = await self._calls.call(
                    "registry", attempt, repeatable=True, timeout_seconds=left
                )
            except errors.ResourceExhausted as error:
                pause = pause_for_room(error, deadline - time.monotonic())
                if pause is None:
                    raise
                report(Progress("waiting", 0, artifact.size_bytes))
                await asyncio.sleep(pause)
            else:
                return resource_messages.version_from_proto(pushed)


def _said(
    tags: Mapping[str, str] | None, metrics: Metrics, lineage: Lineage | None
) -> annotation_pb2.VersionAnnotations | None:
    """Return what is said of a version from the start; None for nothing, which older registries know."""
    said = annotation_pb2.VersionAnnotations(
        tags=tags,
        metrics=metrics_to_proto(metrics),
        lineage=None if lineage is None else lineage_to_proto(lineage),
    )
    return said if said.ListFields() else None


def _signed(model: str, source: Source, key: SigningKey) -> str:
    """The bundle of a signature over what is pushed."""
    from headrace.artifacts.signatures import sign

    return sign(model, stored_files(source), key)


def pause_for_room(error: errors.ResourceExhausted, remaining_seconds: float) -> float | None:
    """Seconds until a push that was refused for want of room is tried again, or None: give up."""
    pause = error.retry_after_seconds if error.reason in _NO_ROOM_YET else None
    return pause if pause is not None and pause < remaining_seconds else None


def _on_this_loop(report: Report) -> Report:
    """Reports from other threads, made in order on this thread's event loop."""
    loop = asyncio.get_running_loop()

    def pass_on(step: Progress) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it whoever wanted to know
            loop.call_soon_threadsafe(report, step)

    return pass_on


def _parts(
    header: Header, artifact: Artifact, report: Report
) -> Iterator[registry_service_pb2.PushVersionRequest]:
    message = registry_service_pb2.PushVersionRequest
    yield message(header=header)
    for chunk in artifact.chunks("sending", report):
        yield message(chunk=chunk)
    report(Progress("checking", artifact.size_bytes, artifact.size_bytes))


def config_to_proto(config: Config) -> serving_config_pb2.ServingConfig:
    """A serving config as its message. Raises InvalidArgument (CONFIG_MALFORMED) for unknown fields."""
    if isinstance(config, serving_config_pb2.ServingConfig):
        return config
    if isinstance(config, ServingConfig):
        return serving_config_to_proto(config)
    try:
        return json_format.ParseDict(dict(config), serving_config_pb2.ServingConfig())
    except json_format.ParseError as error:
        raise errors.InvalidArgument(
            "CONFIG_MALFORMED",
            f"the serving config is malformed: {error}; its fields are those of "
            "headrace.type.v1.ServingConfig",
        ) from error
