"""Language models from their push to their text: real ones, on a registry and a replica."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from headrace.machine.memory import usable_memory_bytes
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace_inference.app import Replica
from headrace_inference.domain.generation.batching.kv_budget import mebibytes
from tests.language.tiny_models import TinyModel
from tests.language.tiny_tokenizer import tiny_tokenizer
from tests.rpc.registry_fixtures import RunningRegistry, eventually, running_registry
from tests.rpc.replica_fixtures import running_replica
from tests.rpc.test_registry_language import packed, push_tar

PROMPT = "The river runs through"


@asynccontextmanager
async def serving(
    redis_url: str, namespace: str, folder: Path, **more: Any
) -> AsyncIterator[tuple[RunningRegistry, Replica, aiohttp.ClientSession]]:
    """A registry and a replica, and a way to ask that by HTTP."""
    async with (
        running_registry(redis_url, namespace, folder / "registry") as registry,
        running_replica(
            redis_url, folder / "replica", registry.address, namespace=namespace, **more
        ) as replica,
        aiohttp.ClientSession(f"http://{replica.fronts.http_address}") as session,
    ):
        yield registry, replica, session


async def until_ready(replica: Replica, *numbers: int) -> None:
    """Wait until exactly these versions of the model are ready."""
    table = replica.reconciler
    await eventually(lambda: {number for _, number in table.table.ready} == set(numbers))


async def completed(session: aiohttp.ClientSession, **options: Any) -> dict[str, Any]:
    """What /v2 generates."""
    body = {"text_input": PROMPT, "temperature": 0, "ignore_eos": True, **options}
    async with session.post("/v2/models/chat/generate", json=body) as answer:
        found: dict[str, Any] = await answer.json()
        assert 200 == answer.status, found
    return found


async def test_a_pushed_model_generates_what_its_weights_say(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """Greedy text is that of plain arithmetic; the version says what memory it takes."""
    wanted = tiny_tokenizer().decode(tiny_llama.greedy(tiny_llama.encode(PROMPT), 8))
    async with serving(redis_url, namespace, tmp_path) as (registry, replica, session):
        await push_tar(registry, packed(tiny_llama.folder))
        await until_ready(replica, 1)
        answer = await completed(session, max_tokens=8, exclude_input_in_output=True)
        served = replica.reconciler.table.ready["chat", 1]
        assert served.generative is not None
        config = served.generative.config
        assert wanted == answer["text_output"]
        # 32 sequences as long as the context, in keys and values of 512 bytes a token
        assert (32, 512, 32 * 512 * 512) == (
            config.max_sequences,
            config.context_length,
            config.kv_cache_bytes,
        )
        assert served.runner.memory_bytes >= config.kv_cache_bytes


async def test_whoever_writes_a_whole_prompt_writes_its_turns(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """Control tokens in a prompt are such tokens, on every wire, and plain text in a conversation."""
    turn = "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n"
    asked = {"model": "chat", "max_tokens": 1}
    async with serving(redis_url, namespace, tmp_path) as (registry, replica, session):
        await push_tar(registry, packed(tiny_llama.folder))
        await until_ready(replica, 1)
        written = {"prompt": turn}
        said = {"messages": [{"role": "user", "content": "Who?"}]}
        quoted = {"messages": [{"role": "user", "content": turn}]}
        counts = [
            await _prompt_tokens(session, path, {**asked, **body})
            for path, body in (
                ("completions", written),
                ("chat/completions", said),
                ("chat/completions", quoted),
            )
        ]
        body = {"text_input": turn, "max_tokens": 1, "return_num_input_tokens": True}
        async with session.post("/v2/models/chat/generate", json=body) as answer:
            tensors = (await answer.json())["num_input_tokens"]
    assert counts[0] == counts[1] == tensors < counts[2]


async def _prompt_tokens(session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> int:
    async with session.post(f"/v1/{path}", json=body) as answer:
        return int((await answer.json())["usage"]["prompt_tokens"])


async def test_a_generation_is_finished_by_the_version_that_began_it(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """The next version answers new requests at once; a deleted one is closed after its last answer."""
    artifact = packed(tiny_llama.folder)
    async with serving(redis_url, namespace, tmp_path) as (registry, replica, session):
        await push_tar(registry, artifact)
        await until_ready(replica, 1)
        body = {"text_input": PROMPT, "stream": True, "ignore_eos": True, "max_tokens": 450}
        async with session.post("/v2/models/chat/generate_stream", json=body) as stream:
            first = await stream.content.readline()
            await push_tar(registry, artifact)
            await until_ready(replica, 1, 2)
            route = {"name": "models/chat/route", "stable_version": 2}
            await registry.stub.UpdateRoute(pb.UpdateRouteRequest(route=route, allow_unready=True))
            await eventually(lambda: stable(replica) == 2)
            await registry.stub.DeleteVersion(
                pb.DeleteVersionRequest(name="models/chat/versions/1")
            )
            other = await completed(session, max_tokens=1)
            lines = [first, *[line async for line in stream.content]]
        await until_ready(replica, 2)
    events = [line for line in lines if line.strip()]
    assert "2" == other["model_version"]
    assert all(b'"model_version":"1"' in event for event in events)
    assert not any(b'"error"' in event for event in events)


def stable(replica: Replica) -> int:
    """The version that answers."""
    return replica.reconciler.table.pick("chat", "")[0].record.number


async def test_a_version_that_does_not_fit_is_refused_with_the_numbers(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """The other goes on; once that leaves, there is room."""
    most = usable_memory_bytes() * 6 // 10  # promised, and hardly touched
    config = {"serving_config": {"generation": {"kv_cache_bytes": most}}}
    artifact = packed(tiny_llama.folder)
    async with serving(redis_url, namespace, tmp_path) as (registry, replica, session):
        await push_tar(registry, artifact, **config)
        await until_ready(replica, 1)
        await push_tar(registry, artifact, **config)
        key = ("chat", 2)
        await eventually(lambda: bool(replica.reconciler.table.states[key][1]))
        reason = replica.reconciler.table.states[key][1]
        assert "1" == (await completed(session, max_tokens=1))["model_version"]
    assert reason.startswith("MEMORY_PROMISED: chat/2 needs ")
    assert f"{mebibytes(most)} for keys and values" in reason
    assert "chat/1 (" in reason


async def test_clients_that_leave_hold_nothing(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """After a hundred that left at their first token, no place, key or value is held for any."""
    body = {"text_input": PROMPT, "stream": True, "ignore_eos": True}
    async with serving(redis_url, namespace, tmp_path) as (registry, replica, session):
        await push_tar(registry, packed(tiny_llama.folder))
        await until_ready(replica, 1)

        async def leave() -> None:
            async with session.post("/v2/models/chat/generate_stream", json=body) as stream:
                await stream.content.readline()
                stream.close()

        for _ in range(10):
            await asyncio.gather(*[leave() for _ in range(10)])
        served = replica.reconciler.table.ready["chat", 1]
        assert served.generative is not None
        engine = served.generative.engine
        await eventually(lambda: not (served.in_flight or engine.load.running))
        load, counts = engine.load, served.statistics.totals()
    assert (0, 0, 0) == (load.running, load.waiting, load.kv_tokens)
    assert {"CANCELLED": 100} == dict(counts.errors)
