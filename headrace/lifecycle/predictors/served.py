"""Asks a version that is served: rows in requests of as many as it batches, several under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from headrace import errors
from headrace.lifecycle.predictors.flights import AdaptiveRoom, Room
from headrace.lifecycle.predictors.predictor import (
    Array,
    Tensors,
    check_rows,
    joined,
    pieces,
    rows_of,
)
from headrace.state.records import ServingConfig, Signature

IN_FLIGHT = 8
"""Requests under way: replicas batch them, and have something to do while answers travel."""
PATIENCE_SECONDS = 120.0
"""So long a request that is refused for want of room, or of time in its queue, is tried again."""
_PAUSE_SECONDS = 0.5


class InferenceClient(Protocol):
    """Asks for inference, as the client of the suite does."""

    async def infer(
        self,
        model: str,
        inputs: Mapping[str, Any],
        *,
        version: int | str = "",
        outputs: Iterable[str] = (),
        parameters: Mapping[str, bool | int | str | float] | None = None,
        timeout_seconds: float | None = None,
    ) -> Mapping[str, Array]:
        """The outputs by name."""


class PushedVersion(Protocol):
    """A version as the registry tells it."""

    @property
    def model(self) -> str:
        """Its model."""

    @property
    def number(self) -> int:
        """Its number."""

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""

    @property
    def config(self) -> ServingConfig:
        """How it is served."""


class ServedPredictor:
    """Answers rows by a served version.

    Requests have as many rows as the version batches, and one where it does not batch: then rows may change
    one another's answers. Where the replica has no room, it waits. `in_flight` requests are under way, at
    most so many where that is `adaptive`: fewer while answers wait behind those of others.
    """

    runs_here = False

    def __init__(
        self,
        client: InferenceClient,
        version: PushedVersion,
        *,
        outputs: Iterable[str] = (),
        rows_per_request: int = 0,
        in_flight: int = IN_FLIGHT,
        adaptive: bool = False,
        parameters: Mapping[str, bool | int | str | float] | None = None,
        timeout_seconds: float | None = None,
        on_rows: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._client = client
        self.version = version
        self.signature = version.signature
        self.requests = 0
        self.rows_per_request = rows_per_request or rows_in_a_request(version)
        self._outputs = tuple(outputs)
        self._room = AdaptiveRoom(in_flight) if adaptive else Room(in_flight)
        self._parameters = parameters
        self._timeout_seconds = timeout_seconds
        self._on_rows = on_rows
        """Called with the rows of each request that was answered."""

    async def predict(self, inputs: Tensors) -> dict[str, Array]:
        """The outputs of all rows, in their order. Raises what the first request that fails raises."""
        if not rows_of(inputs):
            raise errors.InvalidArgument("ROWS_INVALID", "there are no rows")
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._ask(piece))
                    for piece in pieces(inputs, self.rows_per_request)
                ]
        except* errors.HeadraceError as failures:
            raise _first(failures) from None
        return joined([task.result() for task in tasks])

    async def _ask(self, piece: Tensors) -> dict[str, Array]:
        async with self._room.taken():
            answer = await self._patiently(piece)
        rows = rows_of(piece)
        self._on_rows(rows)
        return check_rows(answer, rows, self._outputs)

    async def _patiently(self, piece: Tensors) -> Mapping[str, Array]:
        until = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            self.requests += 1
            try:
                return await self._send(piece)
            except (errors.ResourceExhausted, errors.DeadlineExceeded) as error:
                may_again = isinstance(error, errors.ResourceExhausted) or error.retry_after_seconds
                if not may_again or asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(error.retry_after_seconds or _PAUSE_SECONDS)

    async def _send(self, piece: Tensors) -> Mapping[str, Array]:
        """Ask once for the rows of one request."""
        return await self._client.infer(
            self.version.model,
            piece,
            version=self.version.number,
            outputs=self._outputs,
            parameters=self._parameters,
            timeout_seconds=self._timeout_seconds,
        )


def served_predictor(
    client: InferenceClient, version: PushedVersion, **options: Any
) -> ServedPredictor:
    """A predictor of a version, with the options of ServedPredictor."""
    return ServedPredictor(client, version, **options)


def rows_in_a_request(version: PushedVersion) -> int:
    """As many rows as the version batches; 1 where it does not."""
    return max(1, version.config.batching.max_batch_size)


def _first(failures: BaseExceptionGroup[errors.HeadraceError]) -> errors.HeadraceError:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
