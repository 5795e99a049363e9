"""Language models that are pushed: recognised, checked in a child process, and recorded."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import grpc
import pytest

from headrace.conversion import kind_from_proto, language_from_proto
from headrace.language.triton_form import GENERATION_SIGNATURE
from headrace.registry.v1 import registry_service_pb2 as pb
from headrace.registry.v1 import version_pb2
from headrace.state.language_records import LanguageFacts, VersionKind
from headrace.type.v1 import language_pb2
from tests.language.tiny_encoders import SHAPE, write_embedder, write_reranker
from tests.language.tiny_models import TinyModel
from tests.rpc.registry_fixtures import RunningRegistry, push, running_registry


def packed(folder: Path, **without: bytes | None) -> bytes:
    """A folder as a tar; files given here take the place of those of their names, None leaves one out."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in sorted({**files, **without}.items()):
            if content is not None:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


async def push_tar(running: RunningRegistry, artifact: bytes, **header: Any) -> version_pb2.Version:
    """The version that such an archive becomes."""
    fields = {"parent": "models/chat", "create_model": True, **header}
    pushed: version_pb2.Version = await push(running, artifact, filename="model.tar", header=fields)
    return pushed


def facts_of(version: version_pb2.Version) -> LanguageFacts:
    """What the registry says of a version of text."""
    return language_from_proto(kind_from_proto(version.kind), version.language)


async def test_a_folder_of_genai_is_a_generative_version(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """Its facts come from its files, its signature is Triton's, and it proposes no batching."""
    async with running_registry(redis_url, namespace, tmp_path) as running:
        version = await push_tar(running, packed(tiny_llama.folder))
    facts = facts_of(version)
    assert (VersionKind.GENERATION, "llama", 512, 640, "fp32") == (
        facts.kind,
        facts.architecture,
        facts.context_length,
        facts.vocabulary_size,
        facts.weights,
    )
    assert 2 * 2 * 2 * 16 * 4 == facts.kv_bytes_per_token
    assert ("completion", "chat") == facts.capabilities
    digests = {file.path: file.sha256 for file in version.files}
    assert digests["tokenizer.json"] == facts.tokenizer_digest
    assert 64 == len(facts.chat_template_digest)
    assert [spec.name for spec in GENERATION_SIGNATURE.inputs] == [
        spec.name for spec in version.signature.inputs
    ]
    assert [] == list(version.notices)


async def test_kinds_are_not_mixed_by_chance(
    redis_url: str, namespace: str, tmp_path: Path, tiny_llama: TinyModel
) -> None:
    """A route or an alias goes to a version of another kind only where somebody insists."""
    artifact = packed(tiny_llama.folder)
    configs = ("genai_config.json", "tokenizer.json", "tokenizer_config.json")
    without_tokenizer = packed(tiny_llama.folder, **dict.fromkeys(configs))
    without_chat = packed(tiny_llama.folder, **{"tokenizer_config.json": b"{}"})
    async with running_registry(redis_url, namespace, tmp_path) as running:
        await push_tar(running, artifact)
        mute = await push_tar(running, without_chat)
        tensors = await push_tar(running, artifact, kind="VERSION_KIND_TENSORS")
        lone = await push_tar(running, without_tokenizer, parent="models/lone")
        route = {"name": "models/chat/route", "stable_version": 3}
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await running.stub.UpdateRoute(pb.UpdateRouteRequest(route=route))
        insisting = pb.UpdateRouteRequest(
            route=route, allow_signature_change=True, allow_unready=True
        )
        await running.stub.UpdateRoute(insisting)
    assert ("completion",) == facts_of(mute).capabilities
    assert (
        "signature differs from stable version 1: it cannot be asked for 'chat'" == mute.notices[-1]
    )
    assert (language_pb2.VERSION_KIND_TENSORS, False) == (
        tensors.kind,
        tensors.HasField("language"),
    )
    assert language_pb2.VERSION_KIND_TENSORS == lone.kind
    assert (
        "takes tensors: its graph is a decoder's, and no tokenizer.json lies beside it"
        in lone.notices
    )
    assert "past_key_values.0.key" in {spec.name for spec in tensors.signature.inputs}
    assert "it is one of tensors, not of generation" in (refused.value.details() or "")


async def test_how_a_version_of_text_is_served_is_kept_or_refused(
    redis_url: str, namespace: str, tmp_path: Path, tiny_optimum: TinyModel
) -> None:
    """What is set counts over what the files advise; what has no meaning for texts is named."""
    advice = json.dumps({"eos_token_id": [2], "do_sample": True, "temperature": 0.5, "top_k": 20})
    artifact = packed(tiny_optimum.folder, **{"generation_config.json": advice.encode()})
    good = {"generation": {"max_sequences": 4, "sampling": {"temperature": 0.25}}}
    wrong = {
        "batching": {"max_batch_size": 8},
        "instances": 2,
        "generation": {"context_length": 513, "default_max_tokens": 514, "kv_cache_bytes": 9},
        "encoding": {"truncate": True},
    }
    async with running_registry(redis_url, namespace, tmp_path) as running:
        version = await push_tar(running, artifact, serving_config=good)
        with pytest.raises(grpc.RpcError) as refused:
            await push_tar(running, artifact, serving_config=wrong)
    served = version.serving_config.generation
    assert (4, 0.25, 20) == (
        served.max_sequences,
        served.sampling.temperature,
        served.sampling.top_k,
    )
    message = refused.value.details() or ""
    assert [] == [
        each
        for each in (
            *("batching:", "instances:", "encoding:", "generation.context_length:"),
            *("generation.default_max_tokens:", "generation.kv_cache_bytes:"),
        )
        if f"serving_config.{each}" not in message
    ]


async def test_encoders_are_versions_that_embed_and_rerank(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    """They are checked in the child process, from where only the artifact can be read."""
    embedder = packed(write_embedder(tmp_path / "embedder"))
    reranker = packed(write_reranker(tmp_path / "reranker"))
    config = {"instances": 2, "encoding": {"truncate": True}}
    async with running_registry(redis_url, namespace, tmp_path / "registry") as running:
        embeds = await push_tar(running, embedder, parent="models/embedder", serving_config=config)
        reranks = await push_tar(running, reranker, parent="models/reranker")
    assert [VersionKind.EMBEDDING, VersionKind.RERANK] == [
        facts_of(version).kind for version in (embeds, reranks)
    ]
    assert (SHAPE.hidden, 48) == (facts_of(embeds).embedding_size, facts_of(embeds).context_length)
    assert (2, True) == (embeds.serving_config.instances, embeds.serving_config.encoding.truncate)
    assert ["query", "documents"] == [spec.name for spec in reranks.signature.inputs]
