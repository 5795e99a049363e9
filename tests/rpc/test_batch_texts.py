"""Batches of texts: prompts that are answered, texts that become vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.client import AsyncClient
from headrace.errors import FailedPrecondition, InvalidArgument
from headrace.lifecycle.batches import BatchProgress, TextOptions, run_batch
from headrace.lifecycle.batches.journal import journal_folder
from tests.language.tiny_encoders import SENTENCES, write_embedder
from tests.language.tiny_models import TinyModel
from tests.rpc.test_generative_replica import serving, until_ready
from tests.rpc.test_registry_language import packed, push_tar

PROMPTS = ["The river runs", "An object is", "One two", "The", "What is a river", "Is it"]
FEW = TextOptions(max_tokens=5)


class Ended(Exception):
    """A batch that was ended by whatever it was."""


async def test_prompts_are_answered_and_a_batch_of_them_goes_on(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """As `chat` answers them, or `generate`; finished parts are kept, and other options are refused."""
    rows, out = prompts(tmp_path), tmp_path / "out.jsonl"
    async with (
        serving(redis_url, namespace, tmp_path) as (registry, replica, _),
        AsyncClient(registry=registry.address, inference=replica.fronts.grpc_address) as client,
    ):
        await push_tar(registry, packed(tiny_llama.folder))
        await until_ready(replica, 1)
        with pytest.raises(Ended):
            await run_batch(
                client, "chat", rows, out, rows_per_part=2, texts=FEW, on_progress=end_early
            )
        with pytest.raises(FailedPrecondition, match="how texts are generated"):
            await run_batch(client, "chat", rows, out, rows_per_part=2)
        report = await run_batch(client, "chat", rows, out, rows_per_part=2, texts=FEW)
        raw = TextOptions(max_tokens=5, raw=True)
        await run_batch(client, "chat", rows, tmp_path / "raw.jsonl", texts=raw)
        chats = [await client.chat("chat", each, max_tokens=5, temperature=0) for each in PROMPTS]
        plain = [
            await client.generate("chat", each, max_tokens=5, temperature=0) for each in PROMPTS
        ]
        with pytest.raises(InvalidArgument, match="chat template"):
            await run_batch(
                client,
                "chat",
                rows,
                tmp_path / "x.csv",
                texts=TextOptions(raw=True, system="Be brief."),
            )
    found = lines(out)
    assert [each.text for each in chats] == [row["text"] for row in found]
    assert [each.usage.prompt_tokens for each in chats] == [row["prompt_tokens"] for row in found]
    assert [each.text for each in plain] == [row["text"] for row in lines(tmp_path / "raw.jsonl")]
    assert 5 >= max({row["completion_tokens"] for row in found})
    assert report.rows_found >= 2
    assert (len(PROMPTS), 0) == (report.rows, report.failed)
    assert not journal_folder(out).exists()


def prompts(folder: Path) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": each, "id": 1}) for each in PROMPTS))
    return path


def end_early(progress: BatchProgress) -> None:
    if progress.rows >= 2:
        raise Ended


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


async def test_texts_become_the_vectors_of_embed(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """By the column `text`; one that is too long is refused alone."""
    rows, out = tmp_path / "texts.jsonl", tmp_path / "out.jsonl"
    texts = [*SENTENCES, " ".join(SENTENCES * 3), SENTENCES[0]]
    rows.write_text("\n".join(json.dumps({"text": each}) for each in texts))
    async with (
        serving(redis_url, namespace, tmp_path) as (registry, replica, _),
        AsyncClient(registry=registry.address, inference=replica.fronts.grpc_address) as client,
    ):
        await push_tar(registry, packed(write_embedder(tmp_path / "embedder")))
        await until_ready(replica, 1)
        report = await run_batch(client, "chat", rows, out)
        vectors = (await client.embed("chat", list(SENTENCES))).vectors
        with pytest.raises(InvalidArgument, match="generates no texts"):
            await run_batch(client, "chat", rows, tmp_path / "x.csv", texts=FEW)
    found = [row["embedding"] for row in lines(out)]
    assert [len(SENTENCES)] == [each.place for each in report.refusals]
    assert found[len(SENTENCES)] is None
    np.testing.assert_allclose(vectors, np.array(found[: len(SENTENCES)]), atol=1e-6)
    np.testing.assert_allclose(vectors[0], found[-1], atol=1e-6)
