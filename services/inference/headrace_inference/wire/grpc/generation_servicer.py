"""The RPCs of GenerationService on grpc.aio: decode, call, encode."""

from __future__ import annotations

import grpc
from google.protobuf.message import Message

from headrace.inference.v1 import generation_service_pb2 as pb
from headrace.inference.v1 import generation_service_pb2_grpc as pb_grpc
from headrace.service.grpc_admission import CertificateOf
from headrace_inference.domain.encoding.request_texts import cut_to, scores_of
from headrace_inference.domain.generation.options import context_length
from headrace_inference.domain.generation.requests import GeneratedChunk, TokenScore
from headrace_inference.domain.ingress.generation_stream import GenerationStream, PromptScores
from headrace_inference.domain.ingress.ingress import Ingress
from headrace_inference.domain.ingress.language_calls import CallFacts, LanguageCall, LanguageCalls
from headrace_inference.wire.grpc.generation_answers import (
    AnswerWriter,
    joined,
    ranked,
    scores_to_proto,
    usage_to_proto,
)
from headrace_inference.wire.grpc.generation_requests import (
    embedding_of,
    generation_of,
    known_tokens,
    prompt_of,
    ranking_of,
    scored_of,
)

SERVICE = pb.DESCRIPTOR.services_by_name["GenerationService"]
WIRE = "grpc"

Context = grpc.aio.ServicerContext[Message, Message]
Asked = (
    pb.GenerateRequest
    | pb.ScoreRequest
    | pb.EmbedRequest
    | pb.RerankRequest
    | pb.TokenizeRequest
    | pb.DetokenizeRequest
)


class GenerationServicer(pb_grpc.GenerationServiceServicer):
    """Answers calls of the event loop that it was made on."""

    def __init__(self, ingress: Ingress, certificate_of: CertificateOf = lambda _: None) -> None:
        self._ingress = ingress
        self._certificate_of = certificate_of
        self._calls = LanguageCalls(ingress)

    async def Generate(  # type: ignore[override]  # gRPC takes a coroutine that writes, too
        self, request: pb.GenerateRequest, context: Context
    ) -> None:
        """Go on from a prompt, and write it piece by piece."""
        async with self._calls.open(self._facts(request, context)) as call:
            model = call.generative
            asked, tools = await generation_of(model, request)
            stream, writer = call.generate(asked), AnswerWriter(model.codec, tools)
            answer = _identity(call)
            kept: list[GeneratedChunk] = []
            async for piece in stream:
                if isinstance(piece, PromptScores):
                    answer.prompt_scores.extend(scores_to_proto(piece.scores, model.codec))
                elif request.whole:
                    kept.extend(piece)
                else:
                    answer.chunks.extend(writer.written(piece))
                    await context.write(answer)
                    answer = pb.GenerateResponse()
            answer.chunks.extend(writer.written(joined(kept)))
            answer.usage.CopyFrom(usage_to_proto([stream.usage]))
            call.count()
            await context.write(answer)

    async def Score(self, request: pb.ScoreRequest, context: Context) -> pb.ScoreResponse:
        """Tell how probable continuations are."""
        async with self._calls.open(self._facts(request, context)) as call:
            model = call.generative
            streams = [call.generate(each) for each in await scored_of(model, request)]
            results = [await _scores(stream) for stream in streams]
            return pb.ScoreResponse(
                model=call.version.record.model,
                version=call.version.record.number,
                route=call.route,
                results=[
                    pb.ContinuationScores(scores=scores_to_proto(scores, model.codec))
                    for scores in results
                ],
                usage=usage_to_proto([stream.usage for stream in streams]),
                tokenizer_digest=model.facts.tokenizer_digest,
                vocabulary_size=model.facts.vocabulary_size,
            )

    async def Embed(self, request: pb.EmbedRequest, context: Context) -> pb.EmbedResponse:
        """Make a vector of each text."""
        async with self._calls.open(self._facts(request, context)) as call:
            model, name = call.encoder, call.version.record.model
            asked = await embedding_of(model, name, request)
            vectors = await call.encode(asked)
            if request.dimensions:
                vectors = cut_to(model, name, vectors, request.dimensions)
            return pb.EmbedResponse(
                model=name,
                version=call.version.record.number,
                route=call.route,
                vectors=vectors.astype("<f4", copy=False).tobytes(),
                dimensions=vectors.shape[1],
                usage=pb.Usage(prompt_tokens=sum(map(len, asked.texts))),
            )

    async def Rerank(self, request: pb.RerankRequest, context: Context) -> pb.RerankResponse:
        """Order documents by how well they answer a query."""
        async with self._calls.open(self._facts(request, context)) as call:
            asked = await ranking_of(call.encoder, call.version.record.model, request)
            scores = scores_of(await call.encode(asked))
            return pb.RerankResponse(
                model=call.version.record.model,
                version=call.version.record.number,
                route=call.route,
                results=ranked(scores.tolist(), request.top_n),
                usage=pb.Usage(prompt_tokens=sum(map(len, asked.texts))),
            )

    async def Tokenize(self, request: pb.TokenizeRequest, context: Context) -> pb.TokenizeResponse:
        """Make tokens of a text or a conversation."""
        async with self._calls.open(self._facts(request, context)) as call:
            encoder = call.version.encoder
            model = encoder or call.generative
            tokens = await prompt_of(model, request)
            longest = model.facts.context_length if encoder else context_length(call.generative)
            return pb.TokenizeResponse(
                model=call.version.record.model,
                version=call.version.record.number,
                token_ids=tokens,
                tokens=[model.codec.token_bytes(token) for token in tokens],
                context_length=longest,
                tokenizer_digest=model.facts.tokenizer_digest,
            )

    async def Detokenize(
        self, request: pb.DetokenizeRequest, context: Context
    ) -> pb.DetokenizeResponse:
        """Make a text of tokens."""
        async with self._calls.open(self._facts(request, context)) as call:
            model = call.version.encoder or call.generative
            tokens = known_tokens(request.token_ids, model.facts.vocabulary_size)
            return pb.DetokenizeResponse(
                model=call.version.record.model,
                version=call.version.record.number,
                text=model.codec.decode(tokens, skip_special_tokens=request.skip_special_tokens),
            )

    def _facts(self, request: Asked, context: Context) -> CallFacts:
        parameters, callers = getattr(request, "parameters", {}), self._ingress.callers
        return CallFacts(
            model_name=request.model,
            model_version=request.version,
            metadata=context.invocation_metadata() or (),
            parameters=dict(parameters),
            certificate=self._certificate_of(context) if callers.are_checked else None,
            deadline_ns=self._ingress.deadline_ns(context.time_remaining()),
            held_bytes=request.ByteSize(),
            wire=WIRE,
        )


def _identity(call: LanguageCall) -> pb.GenerateResponse:
    record = call.version.record
    return pb.GenerateResponse(model=record.model, version=record.number, route=call.route)


async def _scores(stream: GenerationStream) -> list[TokenScore]:
    """The scores of those of a prompt's tokens that are scored."""
    scores: list[TokenScore] = []
    async for piece in stream:
        if isinstance(piece, PromptScores):
            scores.extend(piece.scores)
    return scores
