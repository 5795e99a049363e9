"""Texts as vectors, and documents in the order of a query, as a client calls it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from headrace.client import methods, text_messages
from headrace.client.answers import malformed
from headrace.client.calls import Calls
from headrace.client.headers import as_metadata
from headrace.client.text_messages import Prompt
from headrace.client.text_results import Embeddings, Ranking
from headrace.inference.v1 import generation_service_pb2 as pb

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class EncodingCalls:
    """Embed and rerank."""

    _calls: Calls

    async def embed(
        self,
        model: str,
        texts: str | Iterable[Prompt],
        *,
        version: int | str = "",
        dimensions: int = 0,
        truncate: bool = False,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> Embeddings:
        """Make a vector of each text (or of its tokens): a float32 array with a row for each.

        `dimensions` takes the first so many numbers of each, for versions that were trained for it. Texts
        over the context length are refused, or cut with `truncate`.
        """
        every: list[Prompt] = [texts] if isinstance(texts, str) else list(texts)
        request = pb.EmbedRequest(
            model=model,
            version=str(version),
            texts=[text for text in every if isinstance(text, str)],
            token_ids=[pb.TokenIds(ids=text) for text in every if not isinstance(text, str)],
            dimensions=dimensions,
            truncate=truncate,
            parameters=parameters or {},
        )
        answer = await self._calls.unary(
            "inference",
            methods.EMBED,
            request,
            timeout_seconds=timeout_seconds,
            more=as_metadata(headers or {}),
        )
        usage = text_messages.usage_from_proto(answer.usage)
        vectors = _vectors(answer, len(every))
        return Embeddings(answer.model, answer.version, answer.route, vectors, usage)

    async def rerank(
        self,
        model: str,
        query: str,
        documents: Iterable[str],
        *,
        version: int | str = "",
        top_n: int = 0,
        truncate: bool = False,
        parameters: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> Ranking:
        """Order documents by how well they answer a query; `top_n` keeps so many of the best.

        Documents over the context length are refused, or cut with `truncate`.
        """
        request = pb.RerankRequest(
            model=model,
            version=str(version),
            query=query,
            documents=documents,
            top_n=top_n,
            truncate=truncate,
            parameters=parameters or {},
        )
        answer = await self._calls.unary(
            "inference",
            methods.RERANK,
            request,
            timeout_seconds=timeout_seconds,
            more=as_metadata(headers or {}),
        )
        return text_messages.ranking_from_proto(answer)


def _vectors(answer: pb.EmbedResponse, count: int) -> npt.NDArray[np.float32]:
    import numpy as np

    if len(answer.vectors) != 4 * count * answer.dimensions:
        raise malformed(
            f"{len(answer.vectors)} bytes for {count} vectors of {answer.dimensions} numbers"
        )
    flat = np.frombuffer(answer.vectors, "<f4").astype(np.float32, copy=False)
    return flat.reshape(count, answer.dimensions)
