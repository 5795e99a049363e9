"""Refusals that need more than a wrong request: a full queue, a deadline, a replica that ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from headrace.datatypes import Datatype
from headrace.service.http import server
from headrace.state.catalog import Catalog
from headrace.state.records import QueuePolicy, ServingConfig, WarmUp
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from headrace_inference.domain.scheduling.instance_pool import InstancePool
from tests.reasons.exact import Told, told_by
from tests.reasons.messages import (
    ECHO,
    asked,
    binary,
    in_region,
    integers,
    output,
    rest,
    tensor,
    wanting,
    with_parameter,
)
from tests.reasons.replicas import Site, boundless, serving
from tests.rpc.rest_fixtures import Model, echo
from tests.rpc.test_connection_age import Gate
from tests.rpc.test_endless_runs import TURNS, counting, turns
from tests.rpc.test_load_on_request import Opener, adder, cold

SHARED_MEMORY = Path("/dev/shm")

Ask = Callable[[], Awaitable[Told]]
Look = Callable[[Site, str, str, Ask], Awaitable[None]]
"""Looks at one refusal: of a site, its reason, its wire, and what asks."""

Scene = Callable[[Path, str, Look], Awaitable[None]]
"""Brings refusals about in a folder and behind a front, and has each looked at."""


async def by_every_wire(site: Site, look: Look, reason: str, message: Any, post: Any) -> None:
    """One refusal by call, stream and POST."""
    payload = message.SerializeToString()
    await look(site, reason, "call", partial(site.client.call, payload))
    await look(site, reason, "stream", partial(site.client.stream, payload))
    await look(site, reason, "post", partial(site.client.post, post))


async def shared_memory(folder: Path, front: str, look: Look) -> None:
    """Regions that are not there, too small, or gone; outputs that do not fit."""
    key = f"headrace-{uuid4().hex}"
    file = SHARED_MEMORY / key
    file.write_bytes(bytes(64))
    model = echo(Datatype.FP32)
    try:
        async with serving(folder, model, front=front, allow_client_shared_memory=True) as site:
            regions = site.replica.ingress.regions
            regions.register_system("r", f"/{key}", 0, 64)
            await _in_regions(site, look)
            file.write_bytes(b"")
            file.unlink()
            message = in_region()
            await by_every_wire(site, look, "REGION_GONE", message, _post_in("r"))
    finally:
        file.unlink(missing_ok=True)


async def _in_regions(site: Site, look: Look) -> None:
    window: dict[str, Any] = {"shared_memory_region": "r", "shared_memory_byte_size": 64}
    small = window | {"shared_memory_byte_size": 4}
    await by_every_wire(site, look, "REGION_NOT_FOUND", in_region("q"), _post_in("q"))
    await by_every_wire(site, look, "REGION_BOUNDS", in_region(offset=60), _post_in("r", offset=60))
    await by_every_wire(
        site,
        look,
        "OUTPUT_OVER_WINDOW",
        wanting(asked(), "y", **small),
        rest(outputs=[output(**small)]),
    )
    both = {"classification": 1, **window}
    await by_every_wire(
        site,
        look,
        "CLASSIFICATION_IN_REGION",
        wanting(asked(), "y", **both),
        rest(outputs=[output(**both)]),
    )


def _post_in(region: str, offset: int = 0) -> Any:
    parameters: dict[str, Any] = {
        "shared_memory_region": region,
        "shared_memory_byte_size": 8,
        "shared_memory_offset": offset,
    }
    return rest({"name": "x", "datatype": "FP32", "shape": [2], "parameters": parameters})


async def large_messages(folder: Path, front: str, look: Look) -> None:
    """Answers and requests over max_message_bytes; grpcio ends such calls before anybody sees them."""
    async with serving(
        folder, boundless(), echo(Datatype.FP32), front=front, max_message_bytes=4000
    ) as site:
        post = rest(tensor([2000], (1,), "INT64"), model="boundless")
        message = integers("boundless", 2000)
        await by_every_wire(site, look, "ANSWER_TOO_LARGE", message, post)
        if front == "native":
            large = asked("echo-FP32", ("x", "FP32", [2000]), raw=[bytes(8000)]).SerializeToString()
            await look(site, "MESSAGE_TOO_LARGE", "call", partial(site.client.call, large))


async def no_room(folder: Path, front: str, look: Look) -> None:
    """More bytes than a replica holds."""
    async with serving(
        folder,
        echo(Datatype.FP32),
        front=front,
        max_bytes_in_flight=2000,
        max_http_bytes_in_flight=2000,
    ) as site:
        values = np.zeros(1000, np.float32)
        large = asked("echo-FP32", ("x", "FP32", [1000]), raw=[values.tobytes()])
        post = binary(values.tobytes(), [1000], "FP32")
        await by_every_wire(site, look, "REPLICA_OVERLOADED", large, post)


def held(**config: Any) -> Model:
    """The echo with one instance, which waits for its gate."""
    model = echo(Datatype.FP32)
    serving_config = ServingConfig(warm_up=WarmUp(runs=0), instances=1, **config)
    return replace(model, record=replace(model.record, config=serving_config))


@asynccontextmanager
async def busy(
    folder: Path, front: str, look: Look, model: Model
) -> AsyncIterator[tuple[Site, Gate]]:
    """A site whose one instance is at work, until it is left."""
    gate = Gate()
    async with serving(folder, model, open_model=gate.open_session, front=front) as site:
        payload = asked().SerializeToString()
        holding = asyncio.ensure_future(site.client.call(payload))
        assert await asyncio.to_thread(gate.entered.wait, 20)
        yield site, gate
        gate.opened.set()
        assert Told("OK", "") == await holding


async def waiting_in_vain(folder: Path, front: str, look: Look) -> None:
    """Behind a run that goes on: deadlines, timeouts, callers who leave, and a full queue."""
    queue = QueuePolicy(max_requests=1, allow_timeout_override=True)
    payload = asked().SerializeToString()
    async with busy(folder, front, look, held(queue=queue)) as (site, _):
        client = site.client
        hasty = with_parameter("timeout", int64_param=1000)
        post = rest(parameters={"timeout": 1000})
        await by_every_wire(site, look, "QUEUE_TIMEOUT", hasty, post)
        for wire, send in (("call", client.call), ("stream", client.stream)):
            await until_waiting(site, 0)
            await look(site, "DEADLINE_EXCEEDED", wire, partial(send, payload, timeout=0.2))
            await look(site, "CANCELLED", wire, partial(leaving, site, partial(send, payload)))
        await look(site, "CANCELLED", "post", partial(leaving, site, partial(client.post, rest())))

        async def full(asking: Ask) -> Told:
            await until_waiting(site, 0)
            waiting = asyncio.ensure_future(client.call(payload))
            await until_waiting(site)
            told = await asking()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            return told

        for wire, asking in (
            ("call", partial(client.call, payload)),
            ("stream", partial(client.stream, payload)),
            ("post", partial(client.post, rest())),
        ):
            await look(site, "QUEUE_FULL+CANCELLED", wire, partial(full, asking))


async def waits_that_are_long(folder: Path, front: str, look: Look) -> None:
    """Behind a run that goes on and one request that waits: over the longest wait, and past a deadline."""
    payload, a_minute = asked().SerializeToString(), 60_000_000_000
    for policy, reason in (
        (QueuePolicy(max_wait_microseconds=1_000_000), "QUEUE_WAIT_TOO_LONG"),
        (QueuePolicy(max_wait_microseconds=0), "DEADLINE_OUT_OF_REACH"),
    ):
        async with busy(folder, front, look, held(queue=policy)) as (site, gate):
            pool = site.replica.ingress.reconciler.table.find("echo-FP32", "").scheduler
            assert isinstance(pool, InstancePool)
            now = SYSTEM_CLOCK.monotonic_ns()
            pool.admission.record_run(1, a_minute, now, left_waiting=True)
            waiting = asyncio.ensure_future(site.client.call(payload))
            await until_waiting(site)
            call, stream = site.client.call, site.client.stream
            await look(site, reason, "call", partial(call, payload, timeout=10))
            await look(site, reason, "stream", partial(stream, payload, timeout=10))
            if reason == "QUEUE_WAIT_TOO_LONG":
                await look(site, reason, "post", partial(site.client.post, rest()))
            gate.opened.set()
            assert Told("OK", "") == await waiting


async def leaving(site: Site, asking: Ask) -> Told:
    """What a caller sees who leaves while its request waits, alone."""
    await until_waiting(site, 0)
    task = asyncio.ensure_future(asking())
    await until_waiting(site)
    task.cancel()
    (outcome,) = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(outcome, asyncio.CancelledError)
    return Told("CANCELLED", "CANCELLED")


async def until_waiting(site: Site, count: int = 1) -> None:
    """Wait until so many requests wait: threads of the front know no event loop."""
    scheduler = site.replica.ingress.reconciler.table.find("echo-FP32", "").scheduler
    async with asyncio.timeout(20):
        while scheduler.waiting != count:  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def too_many_in_flight(folder: Path, front: str, look: Look) -> None:
    """A version that takes one at a time."""
    async with busy(folder, front, look, held(max_in_flight_requests=1)) as (site, _):
        await by_every_wire(site, look, "MAX_IN_FLIGHT_REACHED", asked(), rest())


async def endless_runs(folder: Path, front: str, look: Look) -> None:
    """Runs that would not end."""
    async with serving(folder, counting(), front=front, max_run_seconds=0.1) as site:
        post = rest(tensor([TURNS], (1,), "INT64"), model="counting")
        await by_every_wire(site, look, "RUN_TOO_LONG", turns(TURNS), post)


async def versions_that_go(folder: Path, front: str, look: Look) -> None:
    """A version whose successor the routing table does not have yet, and a state that was never read."""
    async with serving(folder, echo(Datatype.FP32), front=front) as site:
        reconciler = site.replica.ingress.reconciler
        reconciler.table.find("echo-FP32", "").scheduler.stop()
        await by_every_wire(site, look, "VERSION_UNLOADING", asked(), rest())
        reconciler.want(Catalog(known=False))
        await by_every_wire(site, look, "STATE_UNAVAILABLE", asked(), rest())


async def broken_bodies(folder: Path, front: str, look: Look) -> None:
    """Bodies that stall, or are not framed as HTTP says."""
    head = f"POST {ECHO} HTTP/1.1\r\nHost: x\r\n"
    usual = server.SILENCE_SECONDS
    try:
        async with serving(folder, echo(Datatype.FP32), front=front) as site:
            for reason, framing, sent, silence in (
                ("MALFORMED_BODY", "Transfer-Encoding: chunked", b"5\r\nhello\r\nzz\r\n", usual),
                ("BODY_STALLED", "Content-Length: 5", b"ab", 0.1),
            ):
                server.SILENCE_SECONDS = silence
                start = f"{head}{framing}\r\n\r\n".encode()
                await look(site, reason, "post", partial(by_hand, site, start, sent))
    finally:
        server.SILENCE_SECONDS = usual


async def by_hand(site: Site, start: bytes, sent: bytes) -> Told:
    """What a request is answered whose body no client would send, once its start was read."""
    host, _, port = site.replica.http_address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(start)
    async with asyncio.timeout(20):
        while not site.replica.ingress.receptions.count:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.002)
    writer.write(sent)
    status_line = await reader.readline()
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line[15:]) for line in head.splitlines() if line[:15].lower() == b"content-length:"
    )
    document = json.loads(await reader.readexactly(length))
    writer.close()
    name = status_line.split(b" ", 2)[2].strip().decode().upper().replace(" ", "_")
    return Told(name, document["reason"])


async def stopping_streams(folder: Path, front: str, look: Look) -> None:
    """What a stream is told that is open when the replica is told to stop, and one that comes later."""
    async with serving(folder, echo(Datatype.FP32), front=front) as site:
        early = site.client.open_stream()
        await early.write(asked().SerializeToString())
        await anext(aiter(early))
        site.replica.stopping.set()
        await look(site, "REPLICA_STOPPING", "stream", partial(told_by, early))
        late = site.client.open_stream()
        await look(site, "REPLICA_STOPPING", "stream", partial(told_by, late))


async def loads_on_request(folder: Path, front: str, look: Look) -> None:
    """A version that is loaded for whoever asks: it takes too long, or there is no room for it."""
    opener = Opener()
    models = [adder(name) for name in ("m0", "m1")]
    limits = {"max_loaded_versions": 1, "load_wait_seconds": 0.2}
    try:
        async with serving(folder, *models, open_model=opener, front=front, **limits) as site:
            name = cold(site.replica, "m0", "m1")
            (here,) = {"m0", "m1"} - {name}
            values = [[1.0, 1.0]]
            message = asked(name, ("x", "FP32", [1, 2]), raw=[bytes(8)])
            post = rest(tensor(values, (1, 2)), model=name)
            scheduler = site.replica.ingress.reconciler.table.find(here, "").scheduler
            assert (
                scheduler.acquire_inline()
            )  # as the receiving thread does while it runs a request
            await by_every_wire(site, look, "NO_ROOM_TO_LOAD", message, post)
            scheduler.release_inline()
            opener.gated = name
            await by_every_wire(site, look, "LOAD_WAIT_TIMEOUT", message, post)
            opener.gate.set()
    finally:
        opener.gate.set()


SCENES: tuple[tuple[Scene, frozenset[str]], ...] = (
    (
        shared_memory,
        frozenset(
            (
                "REGION_NOT_FOUND",
                "REGION_BOUNDS",
                "REGION_GONE",
                "OUTPUT_OVER_WINDOW",
                "CLASSIFICATION_IN_REGION",
            )
        ),
    ),
    (large_messages, frozenset(("ANSWER_TOO_LARGE", "MESSAGE_TOO_LARGE"))),
    (no_room, frozenset(("REPLICA_OVERLOADED",))),
    (
        waiting_in_vain,
        frozenset(("QUEUE_TIMEOUT", "DEADLINE_EXCEEDED", "CANCELLED", "QUEUE_FULL")),
    ),
    (waits_that_are_long, frozenset(("QUEUE_WAIT_TOO_LONG", "DEADLINE_OUT_OF_REACH"))),
    (too_many_in_flight, frozenset(("MAX_IN_FLIGHT_REACHED",))),
    (endless_runs, frozenset(("RUN_TOO_LONG",))),
    (versions_that_go, frozenset(("VERSION_UNLOADING", "STATE_UNAVAILABLE"))),
    (loads_on_request, frozenset(("NO_ROOM_TO_LOAD", "LOAD_WAIT_TIMEOUT"))),
    (broken_bodies, frozenset(("BODY_STALLED", "MALFORMED_BODY"))),
    (stopping_streams, frozenset(("REPLICA_STOPPING",))),
)
"""Each with the reasons that it brings about."""
