"""Answers of a real registry whose server cannot say that changes are on disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest

from headrace import status
from headrace.local import embedded_redis
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.state.connection import Redis, open_redis
from headrace_registry.adapters.shared_state import change_log
from tests.rpc.registry_fixtures import RunningRegistry, onnx_file, push, running_registry

ALIAS = "models/digits/aliases/champion"
REQUEST_ID = str(uuid4())


def create(running: RunningRegistry) -> Any:
    """Create a model with a request id."""
    model = {"name": "models/other"}
    return running.stub.CreateModel(pb.CreateModelRequest(model=model, request_id=REQUEST_ID))


def push_again(running: RunningRegistry) -> Any:
    """Push a version with a request id."""
    return push(running, onnx_file(bias=2), header={"request_id": REQUEST_ID})


def create_without_id(running: RunningRegistry) -> Any:
    """Create a model; repeated, that is refused, since it is there."""
    return running.stub.CreateModel(pb.CreateModelRequest(model={"name": "models/other"}))


def move_alias(running: RunningRegistry) -> Any:
    """Move an alias by the etag that it has first; repeated, that is refused, since it was moved."""
    alias = {"name": ALIAS, "version": 1, "etag": "1"}
    return running.stub.UpdateAlias(pb.UpdateAliasRequest(alias=alias))


def delete_alias(running: RunningRegistry) -> Any:
    """Delete an alias; repeated, that is refused, since it is gone."""
    return running.stub.DeleteAlias(pb.DeleteAliasRequest(name=ALIAS))


async def outcome_of(call: Any) -> str:
    """The reason with which a call is refused, or 'ok'."""
    try:
        await call
    except grpc.RpcError as error:
        return status.error_from_rpc(error).reason
    return "ok"


@asynccontextmanager
async def registry_on_its_server(
    namespace: str, folder: Path
) -> AsyncIterator[tuple[RunningRegistry, Redis]]:
    """A registry with a version and an alias, and its server."""
    async with (
        embedded_redis.open_embedded_server(folder / "state") as url,
        open_redis(url) as redis,
        running_registry(url, namespace, folder / "registry") as running,
    ):
        await push(running, onnx_file(), header={"alias": "champion"})
        yield running, redis


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (create, "ok"),
        (push_again, "ok"),
        (create_without_id, "MODEL_EXISTS"),
        (move_alias, "ETAG_MISMATCH"),
        (delete_alias, "ALIAS_NOT_FOUND"),
    ],
)
async def test_no_repeat_is_answered_before_the_change_is_durable(
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[RunningRegistry], Any],
    expected: str,
) -> None:
    """A repeat says that the first was made, and so waits for the disk as that did."""
    monkeypatch.setattr(change_log, "_DURABLE_MILLISECONDS", 100)
    async with registry_on_its_server(namespace, tmp_path) as (running, redis):
        await redis.config_set("appendfsync", "no")
        refused = [await outcome_of(change(running)) for _ in range(2)]
        await redis.config_set("appendfsync", "always")
        answered = [await outcome_of(change(running)) for _ in range(2)]
    assert ["STATE_NOT_DURABLE"] * 2 == refused
    assert [expected] * 2 == answered
