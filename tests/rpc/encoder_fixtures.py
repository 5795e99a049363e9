"""A replica that embeds and reranks, spoken to as OpenAI's and Cohere's clients do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from openai import AsyncOpenAI

from headrace.datatypes import Datatype
from headrace.language.triton_form import RERANK_SIGNATURE, embedding_signature
from headrace.state.language_records import LanguageFacts, VersionKind
from headrace.state.records import VersionRecord
from headrace_inference.adapters.encoding.open_encoder import OpenEncoder, open_encoder
from headrace_inference.adapters.runtime.defaults import RuntimeDefaults
from headrace_inference.adapters.runtime.onnx_runtime import OnnxRunner, open_session
from headrace_inference.adapters.system_clock import SYSTEM_CLOCK
from tests.language.tiny_encoders import SHAPE, write_embedder, write_reranker
from tests.rpc.grpc_fixtures import GrpcReplica, open_grpc_replica
from tests.rpc.rest_fixtures import Model, echo

EMBEDDER = "embedder"
RERANKER = "reranker"
TENSORS = "echo-FP32"
CONTEXT = 48


@dataclass
class Encoding:
    """A replica that encodes, and clients of it."""

    replica: GrpcReplica
    address: str
    session: aiohttp.ClientSession
    client: AsyncOpenAI

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        """The status and the JSON of an answer to a body: bytes as they are, all else as JSON."""
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        async with self.session.post(path, data=data) as response:
            return response.status, await response.json()

    def counted(self, model: str) -> tuple[int, dict[str, int]]:
        """The successes and the errors of a model's version."""
        totals = self.replica.ingress.book.of(model, 1).totals()
        return totals.successes, dict(totals.errors)


def encoder_models() -> tuple[Model, ...]:
    """An embedder and a reranker as the registry would know them; and a version of tensors."""
    plain = echo(Datatype.FP32)
    kinds = {EMBEDDER: VersionKind.EMBEDDING, RERANKER: VersionKind.RERANK}
    signatures = {EMBEDDER: embedding_signature(SHAPE.hidden), RERANKER: RERANK_SIGNATURE}
    models = [plain]
    for name, kind in kinds.items():
        facts = LanguageFacts(
            kind,
            "bert",
            CONTEXT,
            SHAPE.vocabulary,
            "",
            embedding_size=SHAPE.hidden if kind is VersionKind.EMBEDDING else 0,
            normalized=True,
        )
        record = replace(
            plain.record,
            model=name,
            graph_path="model.onnx",
            signature=signatures[name],
            language=facts,
        )
        models.append(replace(plain, record=record))
    return tuple(models)


def opener(folder: Path, **config: Any) -> Any:
    """Return what opens these models; `config` goes into the embedder's config.json."""
    folders = {
        EMBEDDER: write_embedder(folder / EMBEDDER, **config),
        RERANKER: write_reranker(folder / RERANKER),
    }

    def open_model(path: Path, record: VersionRecord) -> OpenEncoder | OnnxRunner:
        if record.language is None:
            return open_session(path, record)
        graph = folders[record.model] / record.graph_path
        return open_encoder(graph, record, RuntimeDefaults(cores=1), SYSTEM_CLOCK)

    return open_model


@asynccontextmanager
async def encoding(folder: Path, **config: Any) -> AsyncIterator[Encoding]:
    """The replica, ready, and its clients, while inside."""
    open_model = opener(folder, **config)
    async with open_grpc_replica(folder, *encoder_models(), open_model=open_model) as replica:
        base = f"http://{replica.http_address}"
        async with (
            aiohttp.ClientSession(base) as session,
            AsyncOpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0) as client,
        ):
            yield Encoding(replica, base, session, client)
