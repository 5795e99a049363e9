"""Chats, completions and tokens as OpenAI's clients ask for them, whole and streamed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openai import APIError

from headrace_inference.domain.generation.requests import GenerationCall, GenerationSink
from tests.rpc.openai_fixtures import CHAT, COMPLETIONS, MODEL, talking
from tests.unit.inference.text_doubles import failing_after, until

ABC: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "abc"}]}
PROMPT: dict[str, Any] = {"model": MODEL, "prompt": "abc"}


def deltas(events: list[Any]) -> list[tuple[int, str | None, str | None]]:
    """The choice, the text and the finish reason of each chunk that has one."""
    return [
        (choice["index"], choice["delta"].get("content"), choice["finish_reason"])
        for chunk in events
        if chunk != "[DONE]"
        for choice in chunk["choices"]
    ]


async def test_a_chat_and_how_it_is_counted(tmp_path: Path) -> None:
    """Its choices, its usage, and the version that made it; it counts once, by its route."""
    async with talking(tmp_path) as here:
        answer = await here.client.chat.completions.create(**ABC, max_tokens=7, n=2)
        assert (1, {}) == here.counted()
    assert ["abcabca"] * 2 == [choice.message.content for choice in answer.choices]
    assert ["length"] * 2 == [choice.finish_reason for choice in answer.choices]
    assert answer.usage
    assert (3, 14, 17) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
        answer.usage.total_tokens,
    )
    assert (f"{MODEL}/1", MODEL) == (answer.system_fingerprint, answer.model)
    assert answer.id.startswith("chatcmpl-")


@pytest.mark.parametrize("name", [MODEL, f"{MODEL}@champion", f"{MODEL}/1"])
async def test_names_of_models(tmp_path: Path, name: str) -> None:
    """A model is named alone, by an alias, or with a version; the answer tells the name as asked."""
    async with talking(tmp_path) as here:
        listed = [model.id async for model in here.client.models.list()]
        one = await here.client.models.retrieve(name)
        answer = await here.client.chat.completions.create(**ABC | {"model": name}, max_tokens=1)
    assert [MODEL, f"{MODEL}@champion"] == listed
    assert (name, name) == (one.id, answer.model)


async def test_names_that_the_settings_give(tmp_path: Path) -> None:
    """Programs that ask for another suite's models are answered by those here; the name is told back."""
    names = ("gpt-4o=" + MODEL, f"org/small={MODEL}@champion", "nowhere=none")
    async with talking(tmp_path, served_names=names) as here:
        listed = [model.id async for model in here.client.models.list()]
        one = await here.client.models.retrieve("org/small")
        answer = await here.client.chat.completions.create(**ABC | {"model": "gpt-4o"})
        status, refused = await here.post(CHAT, ABC | {"model": "nowhere"})
    assert [MODEL, f"{MODEL}@champion", "gpt-4o", "org/small"] == listed
    assert ("org/small", "gpt-4o") == (one.id, answer.model)
    assert (404, "model_not_found") == (status, refused["error"]["code"])


async def test_a_streamed_chat(tmp_path: Path) -> None:
    """Each choice says who speaks, then its text, then why it ended; then the usage, and the end."""
    body = ABC | {"max_tokens": 2, "n": 2, "stream_options": {"include_usage": True}}
    async with talking(tmp_path) as here:
        events = await here.events(CHAT, body)
        assert (1, {}) == here.counted()
    assert [(0, "", None), (1, "", None)] == deltas(events)[:2]
    first = [delta[1:] for delta in deltas(events) if delta[0] == 0]
    assert [("", None), ("a", None), ("b", None), (None, "length")] == first
    *chunks, usage, done = events
    assert ("[DONE]", []) == (done, usage["choices"])
    assert (3, 4) == (usage["usage"]["prompt_tokens"], usage["usage"]["completion_tokens"])
    assert all(chunk["usage"] is None for chunk in chunks)
    assert 1 == len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks})
    assert {"chat.completion.chunk"} == {chunk["object"] for chunk in chunks}


async def test_the_helper_of_the_official_client(tmp_path: Path) -> None:
    """It puts a stream together."""
    async with talking(tmp_path) as here:
        streaming = here.client.chat.completions.stream(**ABC, max_tokens=3, stop=["z"])
        async with streaming as stream:
            texts = [event.delta async for event in stream if event.type == "content.delta"]
    assert "abc" == "".join(texts)


async def test_scores_of_a_chat(tmp_path: Path) -> None:
    """Whole and streamed, an entry for each token, with the bytes of its text."""
    body = ABC | {"max_tokens": 2, "logprobs": True, "top_logprobs": 1}
    top = {"token": "a", "logprob": -0.5, "bytes": [97]}
    async with talking(tmp_path) as here:
        _, whole = await here.post(CHAT, body | {"return_tokens_as_token_ids": True})
        events = await here.events(CHAT, body)
    assert ["token_id:97", "token_id:98"] == [
        entry["token"] for entry in whole["choices"][0]["logprobs"]["content"]
    ]
    scores = [chunk["choices"][0]["logprobs"] for chunk in events[1:3]]
    assert [top | {"top_logprobs": [top]}] == scores[0]["content"]
    assert "b" == scores[1]["content"][0]["token"]


async def test_tokens_and_usage_in_each_chunk(tmp_path: Path) -> None:
    """Where they are asked for."""
    options = {"return_token_ids": True, "stream_options": {"continuous_usage_stats": True}}
    async with talking(tmp_path) as here:
        events = await here.events(CHAT, ABC | {"max_tokens": 2} | options)
        _, whole = await here.post(CHAT, ABC | {"max_tokens": 2, "return_token_ids": True})
    assert [97] == events[1]["choices"][0]["token_ids"]
    counts = [chunk["usage"]["completion_tokens"] for chunk in events[:-1]]
    assert (0, 2) == (counts[0], counts[-1])
    assert sorted(counts) == counts  # a chunk has the tokens that there are: one of two, or both
    assert [97, 98, 99] == whole["prompt_token_ids"]
    assert [97, 98] == whole["choices"][0]["token_ids"]


PROMPTS: list[tuple[Any, list[str]]] = [
    ("abc", ["abca"]),
    (["abc", "xy"], ["abca", "xyxy"]),
    ([97, 98], ["abab"]),
    ([[97, 98], [120]], ["abab", "xxxx"]),
]


@pytest.mark.parametrize(("prompt", "texts"), PROMPTS)
async def test_completions_of_every_form_of_prompt(
    tmp_path: Path, prompt: object, texts: list[str]
) -> None:
    """Answers are numbered prompt by prompt; the request counts once."""
    body = {"model": MODEL, "prompt": prompt, "max_tokens": 4, "n": 2}
    async with talking(tmp_path) as here:
        _, answer = await here.post(COMPLETIONS, body)
        events = await here.events(COMPLETIONS, body)
        assert (2, {}) == here.counted()
    wanted = [text for text in texts for _ in range(2)]
    assert list(enumerate(wanted)) == [(one["index"], one["text"]) for one in answer["choices"]]
    streamed = [""] * len(wanted)
    for chunk in events[:-1]:
        streamed[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"]
    assert wanted == streamed
    assert 8 * len(texts) == answer["usage"]["completion_tokens"]


async def test_completions_have_a_default_length(tmp_path: Path) -> None:
    """Of 16 tokens, as OpenAI has it; chats go on to the end of the context."""
    async with talking(tmp_path) as here:
        _, completed = await here.post(COMPLETIONS, PROMPT)
        _, chatted = await here.post(CHAT, ABC)
    assert 16 == completed["usage"]["completion_tokens"]
    assert 1000 == chatted["usage"]["total_tokens"]


@pytest.mark.parametrize("streams", [False, True])
async def test_an_echoed_prompt_with_its_scores(tmp_path: Path, streams: bool) -> None:
    """Its first token has none: nothing comes before it."""
    body = PROMPT | {"max_tokens": 1, "echo": True, "logprobs": 1}
    async with talking(tmp_path) as here:
        if streams:
            choices = [e["choices"][0] for e in (await here.events(COMPLETIONS, body))[:-1]]
        else:
            choices = (await here.post(COMPLETIONS, body))[1]["choices"]
    scores = [choice["logprobs"] for choice in choices if choice["logprobs"]]
    assert "abca" == "".join(choice["text"] for choice in choices)
    assert ["a", "b", "c", "a"] == [token for score in scores for token in score["tokens"]]
    told = [value for score in scores for value in score["token_logprobs"]]
    assert [None, -1.0, -1.0, -0.5] == told
    assert [0, 1, 2, 3] == [place for score in scores for place in score["text_offset"]]


async def test_scores_of_a_prompt(tmp_path: Path) -> None:
    """As vLLM tells them: by token id, the first token without."""
    async with talking(tmp_path) as here:
        _, answer = await here.post(COMPLETIONS, PROMPT | {"prompt_logprobs": 0})
    first, second, _ = answer["choices"][0]["prompt_logprobs"]
    assert (None, {"98": {"logprob": -1.0, "rank": None, "decoded_token": "b"}}) == (first, second)


async def test_tokens_of_texts_and_conversations(tmp_path: Path) -> None:
    """As a completion or a chat would make them; and back."""
    async with talking(tmp_path) as here:
        _, text = await here.post("/tokenize", PROMPT | {"return_token_strs": True})
        _, chat = await here.post("/v1/tokenize", ABC)
        _, back = await here.post("/detokenize", {"model": MODEL, "tokens": [97, 98]})
    assert {
        "count": 3,
        "max_model_len": 1000,
        "tokens": [97, 98, 99],
        "token_strs": ["a", "b", "c"],
    } == text
    assert ([97, 98, 99], {"prompt": "ab"}) == (chat["tokens"], back)


async def test_a_generation_that_fails_before_anything_came(tmp_path: Path) -> None:
    """It has a status of its own, streamed or not."""
    async with talking(tmp_path) as here:
        here.runner.engine.fails = failing_after(0)
        for stream in (False, True):
            status, answer = await here.post(CHAT, ABC | {"stream": stream})
            assert (500, "RUN_FAILED") == (status, answer["error"]["reason"])
        assert (0, {"RUN_FAILED": 2}) == here.counted()


async def test_a_generation_that_fails_in_the_midst(tmp_path: Path) -> None:
    """The stream's last event is the error: nobody takes what came for the whole."""
    async with talking(tmp_path) as here:
        here.runner.engine.fails = failing_after(2)
        events = await here.events(CHAT, ABC)
        assert (0, {"RUN_FAILED": 1}) == here.counted()
        with pytest.raises(APIError, match="unlucky"):
            async for _ in await here.client.chat.completions.create(**ABC, stream=True):
                pass
    error = events[-1]["error"]
    assert ("server_error", "run_failed") == (error["type"], error["code"])
    assert [("", None), ("a", None), ("b", None)] == [delta[1:] for delta in deltas(events[:-1])]


async def test_a_stream_that_waits_sends_its_head(tmp_path: Path) -> None:
    """Clients' timeouts run until it comes; and leaving frees the place, counted as gone."""
    async with talking(tmp_path, gated=True) as here:
        async with asyncio.timeout(20):
            stream = await here.client.chat.completions.create(**ABC, stream=True)
            first = await anext(aiter(stream))
        assert "assistant" == first.choices[0].delta.role
        assert 1 == here.runner.engine.load.running
        await stream.close()
        await until(lambda: not here.runner.engine.load.running)
        await until(lambda: here.counted() == (0, {"CANCELLED": 1}))


async def test_a_client_that_leaves_a_whole_answer(tmp_path: Path) -> None:
    """What runs for it ends, and is counted as gone."""
    async with talking(tmp_path, gated=True) as here:
        asking = asyncio.create_task(here.post(CHAT, ABC))
        await until(lambda: here.runner.engine.load.running == 1)
        asking.cancel()
        await until(lambda: not here.runner.engine.load.running)
        await until(lambda: here.counted() == (0, {"CANCELLED": 1}))
        await asyncio.wait([asking])


async def test_a_client_that_reads_slowly_makes_its_sequences_pause(tmp_path: Path) -> None:
    """What was generated and not read is bounded, and counted; the rest comes as it reads."""
    body = msgspec.json.encode(ABC | {"n": 100, "stream": True})
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    made: list[tuple[GenerationSink, int]] = []

    def watch(call: GenerationCall, count: int) -> None:
        made.append((call.sink, count))

    async with talking(tmp_path) as here:
        here.runner.engine.fails = watch
        host, _, port = here.replica.http_address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=2**16)
        writer.write(head.encode() + body)
        budget = here.replica.ingress.budget
        await until(lambda: bool(made) and made[-1][0].is_full and budget.bytes > len(body))
        assert made[-1][1] < 700
        text = b""
        while not text.endswith(b"0\r\n\r\n"):
            text = text[-5:] + await reader.read(2**20)
        assert 996 == made[-1][1]
        writer.close()


async def test_a_version_without_a_chat_template(tmp_path: Path) -> None:
    """Nobody can chat with it; completions go on."""
    async with talking(tmp_path, chats=False) as here:
        status, answer = await here.post(CHAT, ABC)
        completed, _ = await here.post(COMPLETIONS, PROMPT)
        assert (1, {"CHAT_TEMPLATE_MISSING": 1}) == here.counted()
    assert (400, "CHAT_TEMPLATE_MISSING", 200) == (status, answer["error"]["reason"], completed)


async def test_what_is_not_read_is_counted_too(tmp_path: Path) -> None:
    """A body that is no JSON counts, though nobody knows which model it meant."""
    async with talking(tmp_path) as here:
        status, answer = await here.post(CHAT, b"{")
        refused = here.replica.ingress.book.of("", 0).totals().errors
    assert (400, "MALFORMED_JSON") == (status, answer["error"]["reason"])
    assert {"MALFORMED_JSON": 1} == dict(refused)
