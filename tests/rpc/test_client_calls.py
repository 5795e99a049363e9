"""How the client makes calls: deadlines, retries, errors, who it says it is."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf import empty_pb2

from headrace import errors
from headrace.client import AsyncClient, Client
from headrace.registry.v1 import (
    alias_pb2,
    model_pb2,
    registry_service_pb2,
    registry_service_pb2_grpc,
)
from headrace.security import callers
from tests.rpc.client_fixtures import open_client, open_services, settings_for


class Registry(registry_service_pb2_grpc.RegistryServiceServicer):
    """Fails as often as it is told to, then answers; remembers the calls."""

    def __init__(self, *failures: errors.HeadraceError) -> None:
        self.failures = list(failures)
        self.actors: list[str] = []
        self.request_ids: list[str] = []
        self.starts: list[tuple[int, str, str]] = []

    def _next(self) -> None:
        self.actors.append(callers.current_caller().actor)
        if self.failures:
            raise self.failures.pop(0)

    async def GetModel(self, request: Any, context: Any) -> model_pb2.Model:
        self._next()
        return model_pb2.Model(name=request.name, last_version=3)

    async def CreateModel(self, request: Any, context: Any) -> model_pb2.Model:
        self.request_ids.append(request.request_id)
        self._next()
        return model_pb2.Model(name=request.model.name)

    async def UpdateAlias(
        self, request: registry_service_pb2.UpdateAliasRequest, context: Any
    ) -> alias_pb2.Alias:
        self._next()
        return request.alias

    async def ListModels(
        self, request: Any, context: Any
    ) -> registry_service_pb2.ListModelsResponse:
        """Pages of one model, three of them."""
        page = int(request.page_token or 0)
        return registry_service_pb2.ListModelsResponse(
            models=[model_pb2.Model(name=f"models/m{page}")],
            next_page_token=str(page + 1) if page < 2 else "",
        )

    async def DeleteModel(self, request: Any, context: Any) -> empty_pb2.Empty:
        await asyncio.Event().wait()
        return empty_pb2.Empty()

    async def WatchChanges(
        self, request: Any, context: Any
    ) -> AsyncIterator[registry_service_pb2.WatchChangesResponse]:
        """Two changes after the start, and word that two more were left out; then the stream breaks."""
        start = request.start_revision
        self.starts.append((start, request.start_epoch, request.start_hash))
        for step, kind in ((1, "model.create"), (2, "model.create"), (4, "")):
            yield registry_service_pb2.WatchChangesResponse(
                revision=start + step, kind=kind, epoch="e", hash=f"h{start + step}"
            )
        self._next()


AWAY = errors.Unavailable("STATE_UNAVAILABLE", "the state is away", retry_after_seconds=0.01)


async def test_reads_are_made_again_while_the_service_is_unavailable() -> None:
    """A read that fails twice with UNAVAILABLE succeeds the third time."""
    registry = Registry(AWAY, AWAY)
    async with open_client(registry) as client:
        model = await client.model("digits")

    assert ("digits", 3) == (model.name, model.last_version)
    assert ["tester@bench"] * 3 == registry.actors


async def test_a_call_is_tried_until_its_deadline() -> None:
    """Then the service's own error comes back, with its reason and retry hint."""
    registry = Registry(*[AWAY] * 999)
    async with open_client(registry, timeout_seconds=1.0) as client:
        with pytest.raises(errors.Unavailable, match="the state is away") as caught:
            await client.model("digits")

    assert ("STATE_UNAVAILABLE", 0.01) == (caught.value.reason, caught.value.retry_after_seconds)
    assert 3 <= len(registry.actors) < 100


async def test_repeats_are_a_share_of_all_calls() -> None:
    """A service that is away gets little more than its usual load, and callers soon get its error."""
    registry = Registry(*[AWAY] * 10_000)
    started = time.monotonic()
    async with open_client(registry, timeout_seconds=1.5) as client:
        calls = [client.model("digits") for _ in range(200)]
        failures = await asyncio.gather(*calls, return_exceptions=True)

    reasons = {getattr(failure, "reason", "") for failure in failures}
    assert "STATE_UNAVAILABLE" in reasons
    assert reasons <= {"STATE_UNAVAILABLE", "DEADLINE_EXCEEDED"}  # a busy machine is late
    reserve = 100 + 10 * (time.monotonic() - started)
    assert 200 < len(registry.actors) <= 200 + 200 * 0.2 + reserve + 1


async def test_a_service_that_never_answered_may_be_given_less() -> None:
    """As the command line does: the address may be wrong."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with AsyncClient(settings=settings_for(port, first_contact_seconds=0.2)) as client:
        async with asyncio.timeout(3.0):
            with pytest.raises(errors.Unavailable, match="cannot be reached"):
                await client.models(timeout_seconds=60)


async def test_creates_are_made_again_with_the_same_request_id() -> None:
    """A create carries one id through all its attempts, so that it makes one model."""
    registry = Registry(AWAY)
    async with open_client(registry) as client:
        await client.create_model("digits")

    first, second = registry.request_ids
    assert first
    assert first == second


async def test_changes_without_a_request_id_are_made_once() -> None:
    """Moving an alias is not repeated: somebody may have moved it on since."""
    registry = Registry(AWAY)
    async with open_client(registry) as client:
        with pytest.raises(errors.Unavailable):
            await client.alias("digits", "champion", 2)

    assert len(registry.actors) == 1


async def test_changes_on_condition_of_an_etag_are_made_again() -> None:
    """They are made once at most."""
    registry = Registry(AWAY)
    async with open_client(registry) as client:
        await client.alias("digits", "champion", 2, etag="e1")

    assert len(registry.actors) == 2


async def test_other_errors_are_not_retried_and_come_back_as_they_were_raised() -> None:
    """Class, reason, facts and violations survive the wire."""
    refused = errors.InvalidArgument(
        "MODEL_NAME_INVALID",
        "no such name",
        facts={"name": "x"},
        violations=(errors.FieldViolation("name", "letters only"),),
    )
    registry = Registry(refused)
    async with open_client(registry) as client:
        with pytest.raises(errors.InvalidArgument) as caught:
            await client.model("x")

    assert repr(refused) == repr(caught.value)
    assert (refused.facts, refused.violations) == (caught.value.facts, caught.value.violations)
    assert len(registry.actors) == 1


async def test_a_deadline_that_passes_names_the_service_and_the_time() -> None:
    """A call that takes longer than it may ends as DeadlineExceeded."""
    async with open_client(Registry()) as client:
        with pytest.raises(errors.DeadlineExceeded, match=r"registry at .* within 0\.05 s"):
            await client.delete_model("digits", timeout_seconds=0.05)


async def test_nobody_at_the_address_is_unavailable_and_says_what_to_start() -> None:
    """A refused connection names the process as people call it, the address and the command."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with AsyncClient(settings=settings_for(port, retry_share=0.0)) as client:
        calls = {"registry": client.models(), "replica": client.server_ready()}
        for name, call in calls.items():
            said = f"the {name} cannot be reached at .*:{port} .*headrace up"
            with pytest.raises(errors.Unavailable, match=said) as caught:
                await call
            assert "SERVICE_UNREACHABLE" == caught.value.reason


async def test_a_service_that_is_not_the_one_meant_is_named() -> None:
    """A monitor's address given as the registry's says so instead of 'method not found' alone."""
    async with open_client() as client:
        with pytest.raises(errors.Unimplemented, match=r"the monitor at 127"):
            await client.statistics()


async def test_lists_are_read_to_the_last_page() -> None:
    """All pages come back as one list."""
    async with open_client(Registry()) as client:
        names = [model.name for model in await client.models()]

    assert ["m0", "m1", "m2"] == names


async def test_a_watch_that_breaks_goes_on_where_it_was() -> None:
    """Changes come in order, none twice, over streams that ended badly and well.

    The next stream begins at the last point that was told, which the registry can compare.
    """
    registry = Registry(AWAY)
    seen: list[int] = []
    async with open_client(registry) as client:
        async for change in client.watch(10):
            seen.append(change.revision)
            if change.revision == 20:
                break

    assert [11, 12, 15, 16, 19, 20] == seen
    assert [(10, "", ""), (14, "e", "h14"), (18, "e", "h18")] == registry.starts


async def test_the_client_without_a_loop_does_the_same() -> None:
    """Calls, errors and watches work from a plain thread, and closing ends its thread."""
    registry = Registry(AWAY)

    def use(port: int) -> tuple[str, list[int], str]:
        with Client(settings=settings_for(port)) as client:
            name = client.model("digits").name
            watch = client.watch(1)
            revisions = [next(watch).revision for _ in range(3)]
            with pytest.raises(errors.DeadlineExceeded) as caught:
                client.delete_model("digits", timeout_seconds=0.05)
        return name, revisions, caught.value.reason

    async with open_services(registry) as port:
        used = await asyncio.to_thread(use, port)

    assert used == ("digits", [2, 3, 6], "DEADLINE_EXCEEDED")


def test_a_closed_client_says_so() -> None:
    """Closing twice is fine; calling after it is the program's mistake."""
    with Client(registry="127.0.0.1:1") as client:
        client.close()

    with pytest.raises(RuntimeError, match="the client is closed"):
        client.models()
