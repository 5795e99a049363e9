"""Inference, as a client calls it: arrays in, arrays out, over the Open Inference Protocol."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from headrace import errors
from headrace.client.answers import reading_an_answer
from headrace.client.calls import Calls
from headrace.inference import grpc_service_pb2, grpc_service_pb2_grpc
from headrace.state.records import LoadState

if TYPE_CHECKING:  # numpy is loaded by the first inference: what only manages models starts sooner
    from headrace.client.tensors import Array, InferResult, ModelMetadata, Parameter


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
    _metadata: dict[tuple[str, str], ModelMetadata]

    @cached_property
    def _inference(self) -> Any:
        return grpc_service_pb2_grpc.GRPCInferenceServiceStub(self._calls.channel())

    async def infer(
        self,
        model: str,
        inputs: Mapping[str, Any],
        *,
        version: int | str = "",
        outputs: Iterable[str] = (),
        parameters: Mapping[str, Parameter] | None = None,
        request_id: str = "",
        timeout_seconds: float | None = None,
    ) -> InferResult:
        """Run a model on `inputs`; `model` may be `name@alias`, `version` a number or an alias.

        Arrays travel as they are; lists become the datatypes that the model's signature says. Without
        `outputs`, all come back. A request that finds no server, or one that hangs, is sent again within
        its deadline, to another where there are several: a model may run it twice.
        """
        from headrace.client import tensors

        deadline = time.monotonic() + self._calls.allowed(timeout_seconds)
        arrays = await self._arrays(model, str(version), inputs, deadline)
        request = tensors.request_to_proto(
            model,
            arrays,
            version=str(version),
            outputs=outputs,
            parameters=parameters or {},
            request_id=request_id,
        )
        return await self._infer(request, deadline)

    async def _infer(
        self, request: grpc_service_pb2.ModelInferRequest, deadline: float
    ) -> InferResult:
        from headrace.client import tensors

        try:
            response = await self._calls.unary(
                "inference",
                self._inference.ModelInfer,
                request,
                timeout_seconds=max(0.0, deadline - time.monotonic()),
                request_id=request.id,
            )
        except errors.InvalidArgument:
            # The signature kept may be that of a version which the route has left: ask again next time.
            self._metadata.pop((request.model_name, request.model_version), None)
            raise
        return tensors.result_from_proto(response, [output.name for output in request.outputs])

    async def _arrays(
        self, model: str, version: str, inputs: Mapping[str, Any], deadline: float
    ) -> dict[str, Array]:
        import numpy as np

        from headrace.client import tensors

        if all(tensors.is_array(value) for value in inputs.values()):
            return {name: np.asarray(value) for name, value in inputs.items()}
        metadata = await self._kept_metadata(model, version, deadline)
        return {
            name: np.asarray(value)
            if tensors.is_array(value)
            else tensors.array_from_values(name, value, metadata.input_datatype(name))
            for name, value in inputs.items()
        }

    async def _kept_metadata(self, model: str, version: str, deadline: float) -> ModelMetadata:
        if (model, version) not in self._metadata:
            self._metadata[model, version] = await self.model_metadata(
                model, version, timeout_seconds=max(0.0, deadline - time.monotonic())
            )
        return self._metadata[model, version]

    async def model_metadata(
        self, model: str, version: int | str = "", *, timeout_seconds: float | None = None
    ) -> ModelMetadata:
        """What a served version takes and gives. Raises NotFound, Unavailable."""
        from headrace.client import tensors

        request = grpc_service_pb2.ModelMetadataRequest(name=model, version=str(version))
        found = await self._ask(self._inference.ModelMetadata, request, timeout_seconds)
        return tensors.metadata_from_proto(found)

    async def server_live(self, *, timeout_seconds: float | None = None) -> bool:
        """Whether the replica answers at all."""
        request = grpc_service_pb2.ServerLiveRequest()
        return bool((await self._ask(self._inference.ServerLive, request, timeout_seconds)).live)

    async def server_ready(self, *, timeout_seconds: float | None = None) -> bool:
        """Whether the replica serves what it should."""
        request = grpc_service_pb2.ServerReadyRequest()
        return bool((await self._ask(self._inference.ServerReady, request, timeout_seconds)).ready)

    async def model_ready(
        self, model: str, version: int | str = "", *, timeout_seconds: float | None = None
    ) -> bool:
        """Whether the replica serves a version. Raises NotFound."""
        request = grpc_service_pb2.ModelReadyRequest(name=model, version=str(version))
        return bool((await self._ask(self._inference.ModelReady, request, timeout_seconds)).ready)

    async def repository_index(self, *, timeout_seconds: float | None = None) -> list[IndexEntry]:
        """The versions that the replica has, had, or tried to have."""
        request = grpc_service_pb2.RepositoryIndexRequest()
        found = await self._ask(self._inference.RepositoryIndex, request, timeout_seconds)
        with reading_an_answer():
            return [
                IndexEntry(entry.name, entry.version, LoadState(entry.state), entry.reason)
                for entry in found.models
            ]

    async def _ask(self, method: Any, request: Any, timeout_seconds: float | None) -> Any:
        return await self._calls.unary(
            "inference", method, request, timeout_seconds=timeout_seconds
        )
