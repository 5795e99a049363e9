"""Describes language models of a folder, as the registry does those that are pushed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from headrace.datatype_names import Datatype
from headrace.language.advised_sampling import proposed_sampling
from headrace.language.chats.chat_files import find_chat_files
from headrace.language.decoder_config import read_decoder_config
from headrace.language.decoder_ends import has_kv_cache
from headrace.language.encoder_files import encoder_root, read_encoder_files
from headrace.language.encoder_graph import encoder_graph
from headrace.language.folder_layout import TOKENIZER
from headrace.language.genai_config import GENAI_CONFIG
from headrace.language.graph_ends import LOGITS_TO_KEEP, GraphEnd, GraphEnds
from headrace.language.tokenizer import tokenizer_digest
from headrace.language.triton_form import (
    GENERATION_SIGNATURE,
    RERANK_SIGNATURE,
    embedding_signature,
)
from headrace.state.language_records import (
    EncodingConfig,
    GenerationConfig,
    LanguageFacts,
    SamplingDefaults,
    VersionKind,
)
from headrace.state.records import ArtifactFile, ServingConfig, Signature, VersionRecord
from headrace.triton.graph import GraphTensor, GraphTensors, read_graph


def described_language(
    name: str, number: int, folder: Path, paths: Iterable[str], graph_path: str
) -> VersionRecord | None:
    """The record of a version of text whose files are in a folder; None where its graph is of tensors.

    Raises InvalidArgument (LANGUAGE_FILES_INVALID, GENERATION_UNSUPPORTED, ENCODER_UNSUPPORTED).
    """
    graph = read_graph(folder / graph_path)
    if graph is None:
        return None
    ends, sampling = _ends(graph), SamplingDefaults()
    if (folder / GENAI_CONFIG).is_file() or has_kv_cache(ends):
        facts, sampling = _decoder(folder, ends)
    elif (encoder := _encoder(folder, graph_path, ends)) is not None:
        facts = encoder
    else:
        return None
    sizes = [(path, (folder / path).stat().st_size) for path in sorted(paths)]
    return VersionRecord(
        name,
        number,
        folder.name,
        tuple(ArtifactFile(path, size, "") for path, size in sizes),
        graph_path,
        _signature(facts),
        ServingConfig(generation=GenerationConfig(sampling=sampling)),
        created_at=time.time(),
        language=facts,
    )


def _decoder(folder: Path, ends: GraphEnds) -> tuple[LanguageFacts, SamplingDefaults]:
    config = read_decoder_config(folder, ends)
    tokens = folder / config.tokenizer_folder
    chat = find_chat_files(tokens)
    digest = tokenizer_digest(tokens / TOKENIZER)
    facts = config.facts(digest, chat.digest if chat else "", ("chat",) if chat else ())
    return facts, proposed_sampling(config.sampling)


def _encoder(folder: Path, graph_path: str, ends: GraphEnds) -> LanguageFacts | None:
    graph, root = encoder_graph(ends), encoder_root(folder, graph_path)
    if graph is None or root is None:
        return None
    files = read_encoder_files(root, graph, EncodingConfig())
    return None if files is None else files.facts(tokenizer_digest(root / TOKENIZER))


def _signature(facts: LanguageFacts) -> Signature:
    if facts.kind is VersionKind.GENERATION:
        return GENERATION_SIGNATURE
    if facts.kind is VersionKind.RERANK:
        return RERANK_SIGNATURE
    return embedding_signature(facts.embedding_size or -1)


def _ends(graph: GraphTensors) -> GraphEnds:
    optional = {
        name: tensor for name, tensor in graph.optional_inputs.items() if name in LOGITS_TO_KEEP
    }
    return GraphEnds(_of(graph.inputs | optional), _of(graph.outputs))


def _of(tensors: Mapping[str, GraphTensor]) -> Mapping[str, GraphEnd]:
    return {
        name: GraphEnd(_datatype(tensor.data_type), tensor.shape or ())
        for name, tensor in tensors.items()
    }


def _datatype(name: str) -> Datatype | None:
    return Datatype.__members__.get(name.removeprefix("TYPE_"))
