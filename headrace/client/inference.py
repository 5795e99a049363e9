"""Inference, as a client calls it: arrays in, arrays out, over the Open Inference Protocol."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace import errors
from headrace.client import methods
from headrace.client.answers import reading_an_answer
from headrace.client.calls import Calls, Metadata
from headrace.client.headers import as_metadata
from headrace.client.methods import Method, Request, Response
from headrace.client.results import InferResult, Parameter
from headrace.client.signature_cache import Key, SignatureCache
from headrace.inference import grpc_service_pb2
from headrace.state.records import LoadState

if TYPE_CHECKING:  # numpy is loaded by the first inference: what only manages models starts sooner
    from headrace.client.binding import BoundInputs, Inputs
    from headrace.client.tensors import ModelMetadata


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One version of the replica's repository; `reason` says why it is unavailable."""

    name: str
    version: str
    state: LoadState
    reason: str


class InferenceCalls:
    """Inference and what a replica says about itself."""

    _calls: Calls
    _signatures: SignatureCache

    async def infer(
        self,
        model: str,
        inputs: Inputs,
        *,
        version: int | str = "",
        outputs: Iterable[str] = (),
        classes: Mapping[str, int] | None = None,
        parameters: Mapping[str, Parameter] | None = None,
        headers: Mapping[str, str] | None = None,
        request_id: str = "",
        timeout_seconds: float | None = None,
    ) -> InferResult:
        """Run a model on `inputs`; `model` may be `name@alias`, `version` a number or an alias.

        `inputs` are values by name, or the value itself where the model has one input: arrays, lists, or
        columns of a table. They become the datatypes that the model takes where that is safe: integers if
        they stay the same, floats of 64 bits rounded to fewer; `notes` of the result say what was cast.
        The answer maps outputs to arrays: `result["label"]`, with text as str. Without `outputs` and
        `classes`, all come back; of an output in `classes` come so many best classes instead, as texts
        `value:index` or, where the model has labels, `value:index:label`. A request that finds no server,
        or one that hangs, is sent again within its deadline, to another where there are several: a model
        may run it twice.

        `headers` go with the request as metadata, for sticky keys and match rules of the route.

        Raises InputTypeError, which is an InvalidArgument and a TypeError, for values of another type than
        the model takes.
        """
        from headrace.client import tensors

        metadata = as_metadata(headers or {})
        self._calls.require_private_way("inference", metadata)
        deadline = time.monotonic() + self._calls.allowed(timeout_seconds)
        given = await self._bound((model, str(version)), inputs, deadline)
        request = tensors.request_to_proto(
            model,
            given.arrays,
            version=str(version),
            outputs=outputs,
            classes=classes or {},
            parameters=parameters or {},
            request_id=request_id,
        )
        return await self._infer(request, given.notes, deadline, metadata)

    async def _infer(
        self,
        request: grpc_service_pb2.ModelInferRequest,
        notes: tuple[str, ...],
        deadline: float,
        headers: Metadata,
    ) -> InferResult:
        from headrace.client import tensors

        key = request.model_name, request.model_version
        try:
            response = await self._calls.unary(
                "inference",
                methods.MODEL_INFER,
                request,
                timeout_seconds=max(0.0, deadline - time.monotonic()),
                request_id=request.id,
                more=headers,
            )
        except errors.InvalidArgument:
            # The signature kept may be that of a version which the route has left: ask again next time.
            self._signatures.forget(key)
            raise
        self._signatures.note_answer(key, response.model_version)
        return tensors.result_from_proto(
            response, [output.name for output in request.outputs], notes
        )

    async def _bound(self, key: Key, inputs: Inputs, deadline: float) -> BoundInputs:
        """The inputs as the model takes them; what a kept signature refuses, a new one may not."""
        from headrace.client.binding import bound, bound_as_they_are

        given = bound_as_they_are(inputs)
        if given is not None:
            return given
        kept = self._signatures.get(key)
        if kept is not None:
            try:
                return bound(inputs, kept)
            except errors.InvalidArgument:
                self._signatures.forget(key)
        seconds = max(0.0, deadline - time.monotonic())
        asked = await self.model_metadata(*key, timeout_seconds=seconds)
        self._signatures.put(key, asked)
        return bound(inputs, asked)

    async def model_metadata(
        self, model: str, version: int | str = "", *, timeout_seconds: float | None = None
    ) -> ModelMetadata:
        """Return a served version's inputs and outputs. Raises NotFound, Unavailable."""
        from headrace.client import tensors

        request = grpc_service_pb2.ModelMetadataRequest(name=model, version=str(version))
        found = await self._ask_replica(methods.MODEL_METADATA, request, timeout_seconds)
        return tensors.metadata_from_proto(found)

    async def server_live(self, *, timeout_seconds: float | None = None) -> bool:
        """Return whether the replica answers at all."""
        request = grpc_service_pb2.ServerLiveRequest()
        return (await self._ask_replica(methods.SERVER_LIVE, request, timeout_seconds)).live

    async def server_ready(self, *, timeout_seconds: float | None = None) -> bool:
        """Return whether the replica serves what it should."""
        request = grpc_service_pb2.ServerReadyRequest()
        return (await self._ask_replica(methods.SERVER_READY, request, timeout_seconds)).ready

    async def model_ready(
        self, model: str, version: int | str = "", *, timeout_seconds: float | None = None
    ) -> bool:
        """Return whether the replica serves a version. Raises NotFound."""
        request = grpc_service_pb2.ModelReadyRequest(name=model, version=str(version))
        return (await self._ask_replica(methods.MODEL_READY, request, timeout_seconds)).ready

    async def repository_index(self, *, timeout_seconds: float | None = None) -> list[IndexEntry]:
        """The versions that the replica has, had, or tried to have."""
        request = grpc_service_pb2.RepositoryIndexRequest()
        found = await self._ask_replica(methods.REPOSITORY_INDEX, request, timeout_seconds)
        with reading_an_answer():
            return [
                IndexEntry(entry.name, entry.version, LoadState(entry.state), entry.reason)
                for entry in found.models
            ]

    async def _ask_replica(
        self, method: Method[Request, Response], request: Request, timeout_seconds: float | None
    ) -> Response:
        return await self._calls.unary(
            "inference", method, request, timeout_seconds=timeout_seconds
        )
