"""Versions of text opened: tried in a process of their own, promised their memory, and refused."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import FailedPrecondition, Unavailable
from headrace.language.triton_form import GENERATION_SIGNATURE
from headrace.state.language_records import GenerationConfig, LanguageFacts, VersionKind
from headrace.state.records import ArtifactFile, ServingConfig, VersionRecord
from headrace_inference.adapters.artifact_cache.file_checks import sha256
from headrace_inference.adapters.generation.open_generative import OpenGenerative
from headrace_inference.adapters.model_folder.language_models import described_language
from headrace_inference.adapters.preparation.cached_opener import PreparingOpener
from headrace_inference.adapters.runtime.memory_book import MemoryBook
from headrace_inference.domain.generation.batching.kv_budget import chosen
from tests.language.tiny_encoders import write_embedder
from tests.language.tiny_models import TinyModel
from tests.unit.inference.preparation.fixtures import preparing

KV_BYTES = 512
"""Of a token of the tiny model."""


def pushed(folder: Path, number: int = 1, **generation: int) -> tuple[Path, VersionRecord]:
    """The graph and the record that the registry makes of a tiny model's folder."""
    files = [
        ArtifactFile(path.name, path.stat().st_size, sha256(path))
        for path in sorted(folder.iterdir())
    ]
    facts = LanguageFacts(VersionKind.GENERATION, "llama", 512, 640, "t", KV_BYTES)
    config = ServingConfig(generation=GenerationConfig(**generation))  # type: ignore[arg-type]  # numbers
    record = VersionRecord(
        "chat",
        number,
        f"digest-{number}",
        tuple(files),
        "model.onnx",
        GENERATION_SIGNATURE,
        config,
        0.0,
        language=facts,
    )
    return folder / "model.onnx", record


def opened(opener: PreparingOpener, graph: Path, record: VersionRecord) -> OpenGenerative:
    """The version, as it is known to be."""
    runner = opener.open_any(graph, record)
    assert isinstance(runner, OpenGenerative)
    return runner


@pytest.fixture(scope="module")
def opener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreparingOpener]:
    """One for tests that need no process of their own; each opens versions of another number."""
    with preparing(tmp_path_factory.mktemp("prepared")) as (opener, _):
        yield opener


def test_the_second_load_needs_no_process(tmp_path: Path, tiny_llama: TinyModel) -> None:
    """That it was tried is noted, and nothing else: its own files are opened."""
    graph, record = pushed(tiny_llama.folder)
    with preparing(tmp_path) as (opener, processes):
        opened(opener, graph, record).close()
        assert 1 == len(processes.pids())
    with preparing(tmp_path) as (opener, processes):
        runner = opened(opener, graph, record)
        assert ([], "pushed") == (processes.pids(), runner.graph)
        assert opener.entry_of(runner) is None
        runner.close()


def test_damaged_files_are_found_before_they_are_opened(
    tmp_path: Path, opener: PreparingOpener, tiny_llama: TinyModel
) -> None:
    """As those of every version."""
    folder = shutil.copytree(tiny_llama.folder, tmp_path / "chat")
    graph, record = pushed(folder, 3)
    (folder / "tokenizer.json").write_bytes(b"{}")
    with pytest.raises(Unavailable, match=r"tokenizer\.json"):
        opener.open_any(graph, record)


@pytest.mark.parametrize(
    ("number", "name", "content"), [(4, "tokenizer.json", b"{}"), (5, "model.onnx", b"no graph")]
)
def test_files_that_are_no_model_fail_the_version(
    tmp_path: Path,
    opener: PreparingOpener,
    tiny_llama: TinyModel,
    number: int,
    name: str,
    content: bytes,
) -> None:
    """They were pushed so: nothing will heal them."""
    folder = shutil.copytree(tiny_llama.folder, tmp_path / "chat")
    (folder / name).write_bytes(content)
    graph, record = pushed(folder, number)
    with pytest.raises(FailedPrecondition) as refused:
        opener.open_any(graph, record)
    assert "MODEL_UNLOADABLE" == refused.value.reason


def test_memory_is_promised_while_a_version_is_open(
    opener: PreparingOpener, tiny_llama: TinyModel
) -> None:
    """Its keys and values count before they are there, and go with it."""
    book = opener.memory
    runner = opened(opener, *pushed(tiny_llama.folder, 6, kv_cache_bytes=2**30))
    assert book.promised_bytes == runner.memory_bytes >= 2**30
    graph, other = pushed(tiny_llama.folder, 7, kv_cache_bytes=book.total_bytes)
    with pytest.raises(Unavailable, match=r"chat/7 needs .* are left beside chat/6") as refused:
        opener.open_any(graph, other)
    runner.close()
    assert 0 == book.promised_bytes
    assert "MEMORY_PROMISED" == refused.value.reason


def test_a_version_says_that_it_keeps_less_than_its_context(
    opener: PreparingOpener, tiny_llama: TinyModel
) -> None:
    """Whoever asks for more is told the limit, and where it comes from."""
    runner = opened(opener, *pushed(tiny_llama.folder, 8, kv_cache_bytes=64 * KV_BYTES))
    runner.close()
    said = "0.03125 MiB of its memory are for keys and values, and taken as they come; a prompt and its "
    assert runner.remark.startswith(f"{said}answer have at most 64 tokens")


def test_encoders_are_promised_their_memory_too(tmp_path: Path, opener: PreparingOpener) -> None:
    """What their weights take, until they are gone."""
    folder = write_embedder(tmp_path / "embedder")
    record = described_language("e", 1, folder, ["model.onnx"], "model.onnx")
    assert record is not None
    runner = opener.open_any(folder / "model.onnx", record)
    assert opener.memory.promised_bytes == runner.memory_bytes
    runner.close()
    gone = weakref.ref(runner)
    del runner
    assert gone() is None
    assert 0 == opener.memory.promised_bytes


def test_a_failed_load_gives_its_promise_back() -> None:
    """So that others are not refused for it."""
    book = MemoryBook(100)
    with pytest.raises(RuntimeError), book.promising("m/1", 40, 60):
        raise RuntimeError("as a load does")
    assert 0 == book.promised_bytes


@pytest.mark.parametrize(
    ("config", "memory", "wanted"),
    [
        # 32 sequences as long as the context, where that is less than an eighth of the memory
        ({}, 2**30, {"max_sequences": 32, "kv_cache_bytes": 32 * 512 * KV_BYTES}),
        ({"context_length": 64}, 2**30, {"context_length": 64, "kv_cache_bytes": 2**20}),
        ({"max_sequences": 4}, 2**30, {"max_sequences": 4, "kv_cache_bytes": 2**20}),
        # an eighth of it
        ({}, 16 * 2**20, {"kv_cache_bytes": 2 * 2**20}),
        # as much as one sequence takes, up to a quarter
        ({}, 2**20, {"kv_cache_bytes": 2**18}),
        # no sequence is longer than what is kept
        ({}, 2**19, {"kv_cache_bytes": 2**17, "context_length": 256}),
        ({"kv_cache_bytes": 12345}, 2**30, {"kv_cache_bytes": 12345, "context_length": 24}),
    ],
)
def test_a_replica_chooses_what_a_config_leaves_open(
    config: dict[str, Any], memory: int, wanted: dict[str, Any]
) -> None:
    """By the memory that it has."""
    found = chosen(GenerationConfig(**config), 512, KV_BYTES, memory)
    assert replace(found, **wanted) == found
