"""Asks servers whether they live, by grpc.health.v1: one that hangs takes calls and answers none."""

from __future__ import annotations

import asyncio
import contextlib
import time

import grpc

from headrace.client.channels import Channels
from headrace.client.endpoints import Endpoint

CHECK = "/grpc.health.v1.Health/Check"
_NO_ANSWER = {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}


class LivenessProbes:
    """One question to each address at a time, however many calls wait for its answer."""

    def __init__(self, channels: Channels, seconds: float) -> None:
        self._channels = channels
        self._seconds = seconds
        self._asked: dict[Endpoint, asyncio.Task[bool]] = {}

    def ask(self, endpoint: Endpoint) -> asyncio.Task[bool]:
        """Return whether the server answers at all, within the time; the endpoint learns it, too."""
        task = self._asked.get(endpoint)
        if task is None or task.done():
            task = self._asked[endpoint] = asyncio.create_task(self._is_alive(endpoint))
        return task

    async def close(self) -> None:
        """Ask no more."""
        for task in self._asked.values():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._asked.clear()

    async def _is_alive(self, endpoint: Endpoint) -> bool:
        check = self._channels.asyncio(endpoint.address).unary_unary(CHECK, bytes, bytes)
        try:
            await check(b"", timeout=self._seconds)
        except grpc.aio.AioRpcError as error:
            if error.code() in _NO_ANSWER:
                endpoint.failed(time.monotonic(), silent=True)
                return False
        endpoint.answered()  # whatever it said
        return True
