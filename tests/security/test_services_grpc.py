"""The gRPC server that all services share: who may call what, before and while a call runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from headrace import errors, status
from headrace.registry.v1 import model_pb2, registry_service_pb2_grpc, version_pb2
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.security import callers
from headrace.security.credentials import Credentials
from headrace.security.identities import Identity, Proof
from headrace.security.policy import Grant
from headrace.security.verifications import MAX_WAITING
from headrace.service.authentication import Authentication
from headrace.service.call_metrics import CallMetrics
from headrace.service.grpc_admission import Gate
from headrace.service.grpc_serving import open_grpc_server
from tests.security.keyring import Keyring, read

SERVICE = pb.DESCRIPTOR.services_by_name["RegistryService"]
GRANTS = {
    "all": (Grant("admin"),),
    "team": read("team-*"),
    "pusher": (Grant("publisher", ("team-*",)),),
    "none": (),
}


class Servicer(registry_service_pb2_grpc.RegistryServiceServicer):
    """Answers who calls, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    async def GetModel(self, request: pb.GetModelRequest, _: Any) -> model_pb2.Model:
        self.calls += 1
        caller = callers.current_caller()
        return model_pb2.Model(
            name=request.name, description=f"{caller.actor} {caller.identity.proof}"
        )

    async def WatchChanges(
        self, request: pb.WatchChangesRequest, _: Any
    ) -> AsyncIterator[pb.WatchChangesResponse]:
        for revision in range(1_000_000):
            yield pb.WatchChangesResponse(revision=revision)

    async def PushVersion(
        self, messages: AsyncIterator[pb.PushVersionRequest], _: Any
    ) -> version_pb2.Version:
        names = [message.header.parent async for message in messages]
        self.calls += 1
        return version_pb2.Version(name=",".join(names))


class Scene:
    """A server, its keys, and a channel to it."""

    def __init__(self, ring: Keyring, channel: Any, servicer: Servicer, calls: CallMetrics) -> None:
        self.ring = ring
        self.channel = channel
        self.servicer = servicer
        self.calls = calls
        self.stub = registry_service_pb2_grpc.RegistryServiceStub(channel)

    async def get(self, model: str, subject: str = "", **more: Any) -> str:
        """What GetModel says of its caller, or the reason and status of its refusal."""
        request = pb.GetModelRequest(name=f"models/{model}")
        metadata = more.get("metadata", self.ring.metadata(subject))
        try:
            return str((await self.stub.GetModel(request, metadata=metadata)).description)
        except grpc.aio.AioRpcError as error:
            return told(error)


def told(error: grpc.aio.AioRpcError) -> str:
    """The status and the reason of a refusal."""
    told = status.error_from_rpc(error)
    return f"{error.code().name} {told.reason if told else error.details()}"


async def read_to_end(stream: Any) -> None:
    """Read a stream until it ends."""
    while await stream.read() is not grpc.aio.EOF:
        pass


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[Scene]:
    """A server with authentication on."""
    ring, servicer, calls = Keyring(GRANTS, **options), Servicer(), CallMetrics([SERVICE])

    def register(server: grpc.aio.Server) -> None:
        registry_service_pb2_grpc.add_RegistryServiceServicer_to_server(servicer, server)

    async with (
        open_grpc_server(
            "127.0.0.1:0", [], register, drain_seconds=0.0, calls=calls, gate=Gate(ring.access)
        ) as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        yield Scene(ring, channel, servicer, calls)


async def test_who_may_and_who_may_not() -> None:
    """The caller is whose key it is, whatever he says of himself."""
    async with serving() as scene:
        assert await scene.get("team-a", "team") == "team api-key"
        claim = ("x-headrace-actor", "root")
        assert (
            await scene.get("team-a", metadata=[*scene.ring.metadata("team"), claim])
            == "team api-key"
        )
        assert await scene.get("other", "team") == "PERMISSION_DENIED PERMISSION_DENIED"
        assert await scene.get("team-a", "none") == "PERMISSION_DENIED PERMISSION_DENIED"
        assert await scene.get("team-a") == "UNAUTHENTICATED CREDENTIALS_MISSING"
        for value in ("Bearer x", "Basic YTpi", "Bearer hr_x", ""):
            refused = await scene.get("team-a", metadata=[("authorization", value)])
            assert refused.startswith("UNAUTHENTICATED ")
        twice = scene.ring.metadata("team") * 2
        assert await scene.get("team-a", metadata=twice) == "UNAUTHENTICATED CREDENTIALS_MALFORMED"
        assert scene.servicer.calls == 2


async def test_a_name_that_nobody_proved_is_only_a_note() -> None:
    """Of callers without credentials, too, where something was granted to anybody."""
    async with serving() as scene:
        scene.ring.grant("anonymous", *read("public"))
        claim = [("x-headrace-actor", "root")]
        assert await scene.get("public", metadata=claim) == "anonymous none"
        assert await scene.get("other", metadata=claim) == "UNAUTHENTICATED CREDENTIALS_MISSING"


async def test_refusals_count_as_calls_that_were_refused() -> None:
    """Each call counts once, with the reason that its caller was told."""
    async with serving() as scene:
        await scene.get("team-a")
        await scene.get("other", "team")
        await scene.get("team-a", "team")
        method = scene.calls.of(f"/{SERVICE.full_name}/GetModel")
        assert method.errors == {"CREDENTIALS_MISSING": 1, "PERMISSION_DENIED": 1}
        assert method.handled == {"OK": 1, "Unauthenticated": 1, "PermissionDenied": 1}


async def test_bytes_of_nobody_are_not_parsed() -> None:
    """Who may not call learns nothing of what his message lacks."""
    async with serving() as scene:
        call = scene.channel.unary_unary(f"/{SERVICE.full_name}/GetModel")
        for subject, expected in (
            ("", "UNAUTHENTICATED CREDENTIALS_MISSING"),
            ("team", "INVALID_ARGUMENT MALFORMED_REQUEST"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(b"\xff", metadata=scene.ring.metadata(subject))
            assert told(refused.value) == expected


async def test_the_message_of_nobody_is_not_even_received() -> None:
    """Who may not call is told so before he has sent anything: what he would send takes no memory."""

    async def never() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async with serving() as scene:
        for path, kind in (("GetModel", "stream_unary"), ("WatchChanges", "stream_stream")):
            method = getattr(scene.channel, kind)(f"/{SERVICE.full_name}/{path}")
            call = method(never())
            assert await call.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_health_is_open_and_reflection_is_for_whoever_is_known() -> None:
    """Probes bring no key, and one with a bad key is answered, too."""
    async with serving() as scene:
        health: Any = health_pb2_grpc.HealthStub(scene.channel)
        request = health_pb2.HealthCheckRequest()
        assert (await health.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
        bad = [("authorization", "Bearer x")]
        assert (await health.Check(request, metadata=bad)).status == 1
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(scene.channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await reflection.ServerReflectionInfo(iter([asked])).read()
        assert told(refused.value) == "UNAUTHENTICATED CREDENTIALS_MISSING"
        metadata = scene.ring.metadata("none")
        assert await reflection.ServerReflectionInfo(iter([asked]), metadata=metadata).read()


async def test_a_method_without_a_row_is_refused_to_everybody() -> None:
    """What the table does not know nobody may call."""

    async def answer(_: bytes, __: Any) -> bytes:
        return b"reached"

    async def attempt(channel: Any, metadata: Any) -> str:
        try:
            return str(await channel.unary_unary("/x.Y/Z")(b"", metadata=metadata))
        except grpc.aio.AioRpcError as error:
            return told(error)

    ring = Keyring(GRANTS)

    def register(server: grpc.aio.Server) -> None:
        handler: Any = grpc.unary_unary_rpc_method_handler(answer)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("x.Y", {"Z": handler}),)
        )

    opening = open_grpc_server(
        "127.0.0.1:0", [], register, drain_seconds=0.0, gate=Gate(ring.access)
    )
    async with (
        opening as server,
        grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
    ):
        assert await attempt(channel, ring.metadata("all")) == "PERMISSION_DENIED PERMISSION_DENIED"


async def test_every_message_of_a_stream_is_checked_but_of_a_push_the_first() -> None:
    """A push is about the model of its first message; one that moves an alias takes that right, too."""

    async def push(scene: Scene, subject: str, *headers: dict[str, Any]) -> str:
        messages = [pb.PushVersionRequest(header=header) for header in headers]
        try:
            metadata = scene.ring.metadata(subject)
            return str((await scene.stub.PushVersion(iter(messages), metadata=metadata)).name)
        except grpc.aio.AioRpcError as error:
            return told(error)

    async with serving() as scene:
        allowed, denied = {"parent": "models/team-a"}, {"parent": "models/other"}
        assert await push(scene, "pusher", allowed, {}) == "models/team-a,"
        assert await push(scene, "pusher", denied) == "PERMISSION_DENIED PERMISSION_DENIED"
        moving = {**allowed, "alias": "champion"}
        assert await push(scene, "pusher", moving) == "PERMISSION_DENIED PERMISSION_DENIED"
        assert await push(scene, "all", moving) == "models/team-a"
        assert await push(scene, "team", allowed) == "PERMISSION_DENIED PERMISSION_DENIED"


@pytest.mark.parametrize("change", ["revoked", "nothing granted"])
async def test_a_stream_ends_when_its_caller_may_no_more(change: str) -> None:
    """A revoked key, or a right that was taken, ends what it opened before."""
    async with serving() as scene:
        metadata = scene.ring.metadata("team")
        watch = scene.stub.WatchChanges(
            pb.WatchChangesRequest(model="models/team-a"), metadata=metadata
        )
        assert (await watch.read()).revision == 0
        if change == "revoked":
            scene.ring.revoke("team")
            expected = "UNAUTHENTICATED API_KEY_INVALID"
        else:
            scene.ring.grant("team")
            expected = "PERMISSION_DENIED PERMISSION_DENIED"
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await read_to_end(watch)
        assert told(ended.value) == expected


async def test_watching_without_a_model_is_for_who_may_read_some() -> None:
    """What is told is left to the service; a watch of nothing is no watch."""
    async with serving() as scene:
        watch = scene.stub.WatchChanges(pb.WatchChangesRequest(), metadata=scene.ring.metadata(""))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await watch.read()
        assert told(refused.value) == "UNAUTHENTICATED CREDENTIALS_MISSING"
        everything = scene.stub.WatchChanges(
            pb.WatchChangesRequest(), metadata=scene.ring.metadata("all")
        )
        assert (await everything.read()).revision == 0
        everything.cancel()


class Tokens:
    """Verifies one token, and counts."""

    def __init__(self) -> None:
        self.verified = 0

    def verify(self, token: str) -> Identity:
        """Whose it is."""
        self.verified += 1
        if token != "a.b.c":
            raise errors.Unauthenticated("TOKEN_INVALID", "the signature is wrong")
        return Identity("team", Proof.TOKEN, "corp")


async def test_a_token_is_verified_once() -> None:
    """What was found out about a token, good or bad, is remembered."""
    tokens = Tokens()
    async with serving(tokens=tokens) as scene:
        good, bad = [("authorization", "Bearer a.b.c")], [("authorization", "Bearer a.b.d")]
        for _ in range(3):
            assert await scene.get("team-a", metadata=good) == "team jwt"
            assert await scene.get("team-a", metadata=bad) == "UNAUTHENTICATED TOKEN_INVALID"
    assert tokens.verified == 2


async def test_tokens_that_wait_to_be_verified_are_bounded() -> None:
    """Beyond so many that wait a call is refused; the next one is taken when there is room."""
    ring = Keyring({}, tokens=Tokens())
    authentication = Authentication(ring.access)

    async def identify(number: int) -> str:
        try:
            await authentication.identify(Credentials(f"Bearer a.b.{number}"))
        except errors.HeadraceError as error:
            return error.reason
        return ""

    reasons = await asyncio.gather(*(identify(number) for number in range(MAX_WAITING + 10)))
    assert reasons.count("TOO_MANY_NEW_TOKENS") == 10
    assert reasons.count("TOKEN_INVALID") == MAX_WAITING
    assert await identify(-1) == "TOKEN_INVALID"
