"""Versions that embed are routed, moved and rolled back as all are, with calls of texts under way."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from openai import AsyncOpenAI

from tests.e2e.traffic import client_of
from tests.language.tiny_encoders import SENTENCES, write_embedder
from tests.suite import RunningSuite, running_suite

pytestmark = [pytest.mark.e2e, pytest.mark.toolchain, pytest.mark.timeout(120)]

MODEL = "embedder"
CALLERS = 8
MOVES = (2, 1, 2, 1, 2)


async def test_a_route_moves_under_calls_and_no_call_fails(tmp_path: Path) -> None:
    """Each answer is of one version altogether: bit for bit what that version gives alone."""
    folders = {
        1: write_embedder(tmp_path / "first", pooling="mean"),
        2: write_embedder(tmp_path / "second", pooling="cls"),
    }
    async with running_suite(tmp_path) as suite, client_of(suite) as client:
        for folder in folders.values():
            version = await client.push(MODEL, folder, timeout_seconds=60)
            await client.wait_until_ready(MODEL, version.number, timeout_seconds=60)
        alone = {number: await _embedded(suite, f"{MODEL}/{number}") for number in folders}
        stop = asyncio.Event()
        callers = [asyncio.create_task(_call(suite, stop)) for _ in range(CALLERS)]
        for number in MOVES:
            await client.set_route(MODEL, number)
            while (await _embedded(suite, MODEL)).tobytes() != alone[number].tobytes():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        stop.set()
        answers: Counter[bytes] = sum(await asyncio.gather(*callers), Counter())
    assert set(answers) == {vectors.tobytes() for vectors in alone.values()}


async def _call(suite: RunningSuite, stop: asyncio.Event) -> Counter[bytes]:
    answers: Counter[bytes] = Counter()
    while not stop.is_set():
        answers[(await _embedded(suite, MODEL)).tobytes()] += 1
    return answers


async def _embedded(
    suite: RunningSuite, model: str
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    base = f"http://{suite.rest}/v1"
    async with AsyncOpenAI(base_url=base, api_key="none", max_retries=0) as client:
        answer = await client.embeddings.create(model=model, input=list(SENTENCES))
    return np.array([one.embedding for one in answer.data], np.float32)
