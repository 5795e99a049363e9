"""GenerationService on both fronts, called by the client: pieces, wholes, scores, ends and refusals."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace import errors
from headrace.client import AsyncClient, Client, GenerationPart
from headrace.datatypes import Datatype
from headrace.inference.v1 import generation_service_pb2 as pb
from headrace.inference.v1.generation_service_pb2_grpc import GenerationServiceStub
from headrace.security.access import OPEN_ACCESS, Access
from headrace.state.records import VersionRecord
from headrace_inference.domain.generation.requests import GenerationCall
from tests.rpc.grpc_fixtures import FRONTS, GrpcReplica, open_grpc_replica
from tests.rpc.rest_fixtures import echo
from tests.unit.inference.text_doubles import (
    CONTEXT,
    FACTS,
    EchoRunner,
    failing_after,
    generative_version,
    until,
)

both_fronts = pytest.mark.parametrize("front", FRONTS)


class Scene:
    """A replica with a version that says its prompt again and again, and a client of it."""

    def __init__(self, replica: GrpcReplica, client: AsyncClient, runner: EchoRunner) -> None:
        self.replica, self.client, self.engine = replica, client, runner.engine

    def counted(self) -> tuple[int, dict[str, int]]:
        """Successes and errors of the version."""
        totals = self.replica.ingress.book.of("m", 1).totals()
        return totals.successes, dict(totals.errors)

    async def until_idle(self) -> None:
        """Wait until nothing is generated any more."""
        await until(lambda: not self.engine.load.running)


@asynccontextmanager
async def scene(
    folder: Path,
    front: str = "native",
    *,
    gated: bool = False,
    context: int = CONTEXT,
    access: Access = OPEN_ACCESS,
) -> AsyncIterator[Scene]:
    opened: list[EchoRunner] = []

    def open_model(path: Path, record: VersionRecord) -> Any:
        opened.append(EchoRunner(gated=gated))
        opened[0].generative.facts = replace(FACTS, context_length=context)
        return opened[0]

    model = replace(echo(Datatype.FP32), record=generative_version())
    opening = open_grpc_replica(folder, model, open_model=open_model, front=front, access=access)
    async with (
        opening as replica,
        AsyncClient(inference=replica.grpc_address, timeout_seconds=20) as client,
    ):
        yield Scene(replica, client, opened[0])


async def read(parts: AsyncIterator[GenerationPart], texts: list[str]) -> None:
    """Keep what comes."""
    async for part in parts:
        texts.append(part.text)  # noqa: PERF401  # it may raise, and these stay


@both_fronts
async def test_pieces_come_while_others_are_made(tmp_path: Path, front: str) -> None:
    """Nothing waits for the end, and the parts are what the whole would be."""
    async with scene(tmp_path, front, gated=True) as site:
        async with aclosing(site.client.generate_stream("m", "abc", max_tokens=4)) as parts:
            site.engine.step()
            first = await anext(parts)
            site.engine.step(3)
            rest = [part async for part in parts]
        counted = site.counted()

    assert (first.text, first.token_ids, first.version, first.route) == ("a", (97,), 1, "stable")
    assert "".join(part.text for part in rest) == "bca"
    assert [part.finish_reason for part in rest if part.finish_reason] == ["length"]
    usage = rest[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 4)
    assert counted == (1, {})


@both_fronts
async def test_a_whole_answer_has_everything(tmp_path: Path, front: str) -> None:
    """All choices with their tokens and scores, and what was counted."""
    async with scene(tmp_path, front) as site:
        found = await site.client.generate(
            "m", [104, 105], max_tokens=3, n=2, logprobs=1, prompt_logprobs=0, temperature=0.0
        )

    assert [choice.text for choice in found.choices] == ["hih", "hih"]
    assert found.token_ids == (104, 105, 104)
    assert found.finish_reason == "length"
    assert [score.logprob for score in found.choices[1].scores] == [-0.5] * 3
    assert found.choices[0].scores[0].token == b"h"
    assert [(score.token_id, score.logprob) for score in found.prompt_scores] == [(105, -1.0)]
    assert found.usage.completion_tokens == 6


@both_fronts
async def test_who_stops_reading_frees_the_place(tmp_path: Path, front: str) -> None:
    """Closing the stream ends the generation, and the call counts as its caller's end."""
    async with scene(tmp_path, front, gated=True) as site:
        parts = site.client.generate_stream("m", "abc", max_tokens=CONTEXT - 3)
        site.engine.step()
        await anext(parts)
        await parts.aclose()
        await site.until_idle()
        await until(lambda: site.counted() == (0, {"CANCELLED": 1}))


@pytest.mark.parametrize(("front", "steps"), [("grpcio", 300), ("native", 3000)])
async def test_a_reader_that_pauses_pauses_its_sequences(
    tmp_path: Path, front: str, steps: int
) -> None:
    """No more is made than the buffers on the way hold, and it goes on when reading does.

    Each step is some 6 kB. The native front holds a few MB of a stream, gRPC what its window lets in.
    """
    async with scene(tmp_path, front, context=2 * steps) as site:
        options = pb.GenerationOptions(max_tokens=steps)
        asked = pb.GenerateRequest(model="m", text="a", n=128, logprobs=1, options=options)
        fixed_window = [("grpc.http2.bdp_probe", 0)]
        channel = grpc.aio.insecure_channel(site.replica.grpc_address, options=fixed_window)
        async with channel:
            messages = aiter(GenerationServiceStub(channel).Generate(asked))
            await anext(messages)
            made = await _until_it_stands(site)
            await anext(messages)
            if front == "grpcio":
                chunks = [len(message.chunks) async for message in messages]
                assert sum(chunks) > 128 * (steps - made)
        await site.until_idle()

    assert made < steps


async def _until_it_stands(site: Scene) -> int:
    """How many tokens of each choice there are once no more are made, however often others are served."""
    made, same = 0, 0
    while same < 20:
        await site.client.tokenize("m", "a")
        now = site.engine.made_of_first()
        made, same = now, same + 1 if now == made else 0
    return made


async def test_the_blocking_client_streams_and_leaves(tmp_path: Path) -> None:
    """A loop that is left by `break` ends the generation once its iterator is gone."""

    def first_two(address: str) -> list[str]:
        with Client(inference=address) as client:
            texts = []
            for part in client.generate_stream("m", "abc", max_tokens=CONTEXT - 3):
                texts.append(part.text[:1])
                break
            gc.collect()
            return [*texts, client.generate("m", "xyz", max_tokens=2).text]

    async with scene(tmp_path) as site:
        assert await asyncio.to_thread(first_two, site.replica.grpc_address) == ["a", "xy"]
        await site.until_idle()


@both_fronts
async def test_an_error_ends_a_stream_after_what_came(tmp_path: Path, front: str) -> None:
    """What was read stays, the error has its reason, and nothing is tried again."""
    async with scene(tmp_path, front) as site:
        site.engine.fails = failing_after(2)
        texts: list[str] = []
        with pytest.raises(errors.Internal) as caught:
            await read(site.client.generate_stream("m", "abc", max_tokens=9), texts)
        counted = site.counted()

    assert ("ab", "RUN_FAILED") == ("".join(texts), caught.value.reason)
    assert counted == (0, {"RUN_FAILED": 1})


@pytest.mark.parametrize(("made", "tries"), [(0, 2), (2, 1)])
async def test_only_a_stream_of_which_nothing_came_is_opened_again(
    tmp_path: Path, made: int, tries: int
) -> None:
    """What may heal is tried again before the first token, and told after it."""
    calls: list[GenerationCall] = []

    def fails(call: GenerationCall, count: int) -> errors.HeadraceError | None:
        if call not in calls:
            calls.append(call)
        is_first = call is calls[0] and count == made
        return errors.Unavailable("VERSION_BROKEN", "unlucky") if is_first else None

    async with scene(tmp_path) as site:
        site.engine.fails = fails
        texts: list[str] = []
        with suppress(errors.Unavailable):
            await read(site.client.generate_stream("m", "abc", max_tokens=3), texts)

    assert (tries, "abc"[: made or 3]) == (len(calls), "".join(texts))


async def test_continuations_are_scored_by_themselves(tmp_path: Path) -> None:
    """Each has a score for each of its tokens, none for the prompt's."""
    async with scene(tmp_path) as site:
        found = await site.client.score("m", "ab", ["cd", [101]])

    scored = [[score.token for score in result] for result in found.results]
    assert scored == [[b"c", b"d"], [b"e"]]
    assert (found.version, found.vocabulary_size, found.tokenizer_digest) == (1, 256, "t")


async def test_texts_become_tokens_and_tokens_texts(tmp_path: Path) -> None:
    """As the version does it when it generates."""
    async with scene(tmp_path) as site:
        found = await site.client.tokenize("m", "abc")
        text = await site.client.detokenize("m", found.token_ids)

    assert (found.token_ids, found.tokens) == ((97, 98, 99), (b"a", b"b", b"c"))
    assert (found.context_length, text) == (CONTEXT, "abc")


REFUSED: dict[str, tuple[Any, str]] = {
    "a wrong option": (lambda c: c.generate("m", "a", temperature=3), "PARAMETER_INVALID"),
    "no prompt": (lambda c: c.generate("m", ""), "PROMPT_EMPTY"),
    "a long prompt": (lambda c: c.generate("m", "a" * CONTEXT), "CONTEXT_LENGTH_EXCEEDED"),
    "unknown tokens": (lambda c: c.generate("m", [256]), "TOKEN_UNKNOWN"),
    "negative tokens": (lambda c: c.detokenize("m", [-1]), "TOKEN_UNKNOWN"),
    "no template": (lambda c: c.chat("m", "Hi"), "CHAT_TEMPLATE_MISSING"),
    "no messages": (lambda c: c.chat("m", []), "PROMPT_MISSING"),
    "an unknown role": (lambda c: c.chat("m", [{"role": "alien"}]), "PARAMETER_INVALID"),
    "another kind": (lambda c: c.embed("m", "a"), "VERSION_KIND"),
    "no continuation": (lambda c: c.score("m", "a", []), "PARAMETER_INVALID"),
    "an empty one": (lambda c: c.score("m", "a", [""]), "PROMPT_EMPTY"),
    "too many scores": (lambda c: c.score("m", "a", ["b"], top_logprobs=1025), "PARAMETER_INVALID"),
    "an image": (
        lambda c: c.chat("m", [{"role": "user", "content": [{"type": "image_url"}]}]),
        "CONTENT_UNSUPPORTED",
    ),
    "two grammars": (
        lambda c: c.generate("m", "a", regex="a", json_object=True),
        "PARAMETER_INVALID",
    ),
    "a seed over 64 bits": (lambda c: c.generate("m", "a", seed=2**63), "PARAMETER_INVALID"),
}


async def test_what_is_wrong_is_refused_by_name(tmp_path: Path) -> None:
    """Each with its reason, before anything is generated, and none is counted as answered."""
    async with scene(tmp_path) as site:
        found = {}
        for name, (call, _) in REFUSED.items():
            with pytest.raises(errors.InvalidArgument) as caught:
                await call(site.client)
            found[name] = caught.value.reason
        with pytest.raises(errors.NotFound):
            await site.client.generate("other", "a")
        with pytest.raises(TypeError, match="max_token"):
            await site.client.generate("m", "a", max_token=3)  # type: ignore[call-arg]  # misspelt
        answered, _ = site.counted()

    assert found == {name: reason for name, (_, reason) in REFUSED.items()}
    assert answered == 0


async def test_a_call_that_finds_nobody_is_made_elsewhere(tmp_path: Path) -> None:
    """Of two addresses one serves nobody: a stream of which nothing came is opened at the other."""
    async with scene(tmp_path) as site:
        addresses = f"127.0.0.1:1,{site.replica.grpc_address}"
        async with AsyncClient(inference=addresses, timeout_seconds=20) as client:
            texts = [(await client.generate("m", "ab", max_tokens=2)).text for _ in range(4)]

    assert texts == ["ab"] * 4
