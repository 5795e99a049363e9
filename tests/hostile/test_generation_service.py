"""Random requests for text, and callers who leave: nothing is the service's fault or stays behind."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from headrace.client import AsyncClient
from headrace.inference.v1 import generation_service_pb2 as pb
from headrace.inference.v1.generation_service_pb2_grpc import GenerationServiceStub
from tests.language.tiny_models import TinyModel
from tests.rpc.test_generative_replica import serving, until_ready
from tests.rpc.test_registry_language import packed, push_tar
from tests.unit.inference.text_doubles import until

pytestmark = pytest.mark.toolchain

ROUNDS, AT_A_TIME = 50, 20
TEXTS = ("", "a", "The river", "\0", "<|im_end|>", "é\U0001f600", "{", "x" * 3000, "user", "tool")
INTEGERS = (0, 1, -1, 2, 3, 17, 639, 640, 2**31 - 1, -(2**31))
NUMBERS = (0.0, 1.0, -1.0, 0.5, 2.0, math.nan, math.inf, -math.inf, 1e-300, 1e300)
REQUESTS: dict[str, type[Message]] = {
    "Generate": pb.GenerateRequest,
    "Score": pb.ScoreRequest,
    "Tokenize": pb.TokenizeRequest,
    "Detokenize": pb.DetokenizeRequest,
    "Embed": pb.EmbedRequest,
    "Rerank": pb.RerankRequest,
}


class Chance:
    """Makes messages by chance, with a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def request(self) -> tuple[str, Any]:
        """A method, and a request for the model."""
        name = self._random.choice(["Generate", "Generate", *REQUESTS])
        message: Any = REQUESTS[name]()
        self._fill(message, 0)
        message.model = "chat"
        if self._random.random() < 0.9:
            message.version = ""
        if name in ("Generate", "Score") and self._random.random() < 0.8:
            message.text = "The river"
        if name == "Generate":
            message.options.max_tokens = self._random.choice((1, 2, 8, 8, -1))
        return name, message

    def _fill(self, message: Any, depth: int) -> None:
        for field in message.DESCRIPTOR.fields:
            if depth > 4 or self._random.random() < (0.8 if depth == 1 else 0.5):
                continue
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                continue
            for _ in range(self._random.randrange(3) if field.is_repeated else 1):
                self._set(message, field, depth)

    def _set(self, message: Any, field: FieldDescriptor, depth: int) -> None:
        here = getattr(message, field.name)
        if field.message_type is not None:
            inner = here.add() if field.is_repeated else here
            inner.SetInParent()
            self._fill(inner, depth + 1)
        elif field.is_repeated:
            here.append(self._value(field))
        else:
            setattr(message, field.name, self._value(field))

    def _value(self, field: FieldDescriptor) -> Any:
        makers: dict[int, Callable[[], Any]] = {
            field.CPPTYPE_STRING: lambda: self._random.choice(TEXTS),
            field.CPPTYPE_INT32: lambda: self._random.choice(INTEGERS),
            field.CPPTYPE_INT64: lambda: self._random.choice(INTEGERS),
            field.CPPTYPE_DOUBLE: lambda: self._random.choice(NUMBERS),
            field.CPPTYPE_BOOL: lambda: self._random.random() < 0.5,
        }
        return makers[field.cpp_type]()


@pytest.mark.parametrize("seed", range(3))
async def test_random_requests_are_answered_or_refused(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel, seed: int
) -> None:
    """No request is the service's fault, none hangs, and the version is as good as new after all."""
    chance = Chance(seed)
    odd: list[tuple[str, str, str]] = []
    async with serving(redis_url, namespace, tmp_path) as (registry, replica, _):
        await push_tar(registry, packed(tiny_llama.folder))
        await until_ready(replica, 1)
        async with grpc.aio.insecure_channel(replica.fronts.grpc_address) as channel:
            stub = GenerationServiceStub(channel)

            async def ask() -> None:
                name, message = chance.request()
                call = getattr(stub, name)(message, timeout=20)
                try:
                    if name == "Generate":
                        async for _ in call:
                            pass
                    else:
                        await call
                except grpc.aio.AioRpcError as error:
                    if error.code().name not in ("INVALID_ARGUMENT", "NOT_FOUND"):
                        odd.append((error.code().name, error.details() or "", str(message)))

            for _ in range(ROUNDS):
                await asyncio.gather(*(ask() for _ in range(AT_A_TIME)))
            served = replica.reconciler.table.ready["chat", 1].generative
            assert served is not None
            await until(lambda: not (served.engine.load.running or served.engine.load.waiting))
            asked = pb.GenerateRequest(model="chat", text="a", whole=True)
            asked.options.max_tokens = 3
            answers = [answer async for answer in stub.Generate(asked)]
    assert [] == odd
    assert 3 == answers[-1].usage.completion_tokens


async def test_a_thousand_callers_who_leave_hold_nothing(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """Wherever in its answer each leaves, or before it: no sequence, row or lease stays."""
    chance = random.Random(0)
    async with serving(redis_url, namespace, tmp_path) as (registry, replica, _):
        await push_tar(registry, packed(tiny_llama.folder))
        await until_ready(replica, 1)
        async with AsyncClient(inference=replica.fronts.grpc_address, timeout_seconds=20) as client:

            async def leave() -> None:
                parts = client.generate_stream(
                    "chat", "The river", max_tokens=400, ignore_eos=True, n=chance.choice((1, 2))
                )
                count = chance.randrange(4)
                with suppress(TimeoutError):
                    async with aclosing(parts), asyncio.timeout(None if count else 0.003):
                        for _ in range(max(1, count)):
                            await anext(parts)

            for _ in range(ROUNDS):
                await asyncio.gather(*(leave() for _ in range(AT_A_TIME)))
            served = replica.reconciler.table.ready["chat", 1]
            assert served.generative is not None
            engine = served.generative.engine
            await until(lambda: not (engine.load.running or engine.load.waiting))
            assert 0 == engine.load.kv_tokens
            await until(lambda: served.leases.count == 0)
            counts = served.statistics.totals()
    assert 0 == counts.successes
    assert set(counts.errors) <= {"CANCELLED"}
