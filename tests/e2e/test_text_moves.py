"""A route of text moves under streams in a whole suite: each ends on the version that it began with."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from headrace.client import AsyncClient, GenerationPart, VersionStatistics
from tests.language.tiny_models import TinyModel, write_tiny_model
from tests.suite import running_suite

AT_A_TIME = 8
TOKENS = 300


async def streamed(client: AsyncClient) -> list[GenerationPart]:
    """The parts of one long answer."""
    parts = client.chat_stream("chat", "Hello", max_tokens=TOKENS, ignore_eos=True)
    return [part async for part in parts]


@pytest.mark.parametrize("front", ["native", pytest.param("grpcio", marks=pytest.mark.toolchain)])
async def test_a_route_moves_under_streams(
    tmp_path: Path, tiny_llama: TinyModel, front: str
) -> None:
    """Eight callers stream without a pause; their counts reach the monitor, whole."""
    other = write_tiny_model(tmp_path / "other", tiny_llama.shape, seed=1)
    async with (
        running_suite(tmp_path, extra=[f"--front={front}"]) as suite,
        AsyncClient(
            registry=suite.registry, inference=suite.inference, monitor=suite.monitor
        ) as client,
    ):
        for model in (tiny_llama, other):
            pushed = await client.push("chat", model.folder)
            await client.wait_until_ready("chat", pushed.number)
        answers: list[list[GenerationPart]] = []
        moved = asyncio.Event()

        async def caller() -> None:
            while not moved.is_set() or answers[-1][0].version != 2:
                answers.append(await streamed(client))

        async with asyncio.TaskGroup() as callers:
            for _ in range(AT_A_TIME):
                callers.create_task(caller())
            while len(answers) < AT_A_TIME:  # noqa: ASYNC110  # tasks of this test
                await asyncio.sleep(0.01)
            await client.set_route("chat", 2)
            moved.set()
        found = await counted(client, len(answers))

    versions = [{part.version for part in parts} for parts in answers]
    assert {1} in versions
    assert {2} in versions
    assert all(len(each) == 1 for each in versions)
    usages = [parts[-1].usage for parts in answers]
    assert {TOKENS} == {usage.completion_tokens for usage in usages if usage is not None}
    assert len(answers) * TOKENS == sum(each.generated_tokens for each in found)
    for each in found:
        began = sum(version == {each.version} for version in versions)
        assert each.first_token is not None
        assert each.between_tokens is not None
        assert (began, began * (TOKENS - 1)) == (each.first_token.count, each.between_tokens.count)
        assert {"stable"} == set(each.route_counts)


async def counted(client: AsyncClient, answers: int) -> tuple[VersionStatistics, ...]:
    """What the monitor knows of versions once it knows of all answers."""
    async with asyncio.timeout(20):
        while True:
            found = (await client.statistics(600, "chat")).versions
            if sum(each.success_count for each in found) >= answers:
                return tuple(found)
            await asyncio.sleep(0.05)
