"""Prompts and answers of models of text, from and to messages: pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headrace import errors
from headrace.client.answers import reading_an_answer
from headrace.client.text_results import (
    FinishReason,
    GeneratedChoice,
    Generation,
    GenerationPart,
    RankedDocument,
    Ranking,
    Scores,
    Tokens,
    TokenScore,
    ToolCall,
    Usage,
)
from headrace.inference.v1 import generation_service_pb2 as pb

Message = Mapping[str, Any]
"""A turn in OpenAI's form: `role`, `content`, and where they apply `tool_calls`, `tool_call_id`, `name`."""
Tool = Mapping[str, Any]
"""A function in OpenAI's form, with or without the outer {"type": "function", "function": ...}."""
Prompt = str | Sequence[int]
"""A text, which no chat template changes, or tokens, used as they are."""

_FINISHED: Mapping[int, FinishReason] = {
    pb.FINISH_REASON_STOP: "stop",
    pb.FINISH_REASON_LENGTH: "length",
    pb.FINISH_REASON_TOOL_CALLS: "tool_calls",
}


def prompt_fields(prompt: Prompt) -> dict[str, Any]:
    """The fields of a request that have a prompt."""
    if isinstance(prompt, str):
        return {"text": prompt}
    return {"token_ids": pb.TokenIds(ids=prompt)}


def conversation_fields(prompt: Prompt | Iterable[Message]) -> dict[str, Any]:
    """The same, where the prompt may be a conversation too."""
    if isinstance(prompt, str):
        return {"text": prompt}
    parts: list[Any] = list(prompt)
    turns = [part for part in parts if isinstance(part, Mapping)]
    if turns:
        return {"chat": chat_to_proto(turns)}
    return {"token_ids": pb.TokenIds(ids=parts)}


def chat_to_proto(
    messages: str | Iterable[Message],
    tools: Iterable[Tool] = (),
    *,
    tool_choice: str = "",
    continue_last: bool = False,
    template_variables: Mapping[str, Any] | None = None,
) -> pb.Chat:
    """A conversation; a text alone is what a user says. Raises InvalidArgument (CONTENT_UNSUPPORTED)."""
    turns = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    return pb.Chat(
        messages=[_message(turn) for turn in turns],
        tools=[_tool(tool) for tool in tools],
        tool_choice=tool_choice,
        continue_last=continue_last,
        template_variables=json.dumps(template_variables) if template_variables else "",
    )


def _message(turn: Message) -> pb.ChatMessage:
    return pb.ChatMessage(
        role=turn.get("role") or "",
        content=_content(turn.get("content")),
        tool_calls=[_call(call) for call in turn.get("tool_calls") or ()],
        tool_call_id=turn.get("tool_call_id") or "",
        name=turn.get("name") or "",
    )


def _content(content: str | Sequence[Mapping[str, Any]] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if other := [part.get("type") for part in content if part.get("type") != "text"]:
        raise errors.InvalidArgument(
            "CONTENT_UNSUPPORTED",
            f"a part of a message is {other[0]!r}: text is all that a model of text reads",
        )
    return "".join(part["text"] for part in content)


def _call(call: ToolCall | Mapping[str, Any]) -> pb.ToolCall:
    if isinstance(call, ToolCall):
        return pb.ToolCall(id=call.id, name=call.name, arguments=call.arguments)
    function = call.get("function", call)
    arguments = _as_json(function["arguments"])
    return pb.ToolCall(id=call.get("id") or "", name=function["name"], arguments=arguments)


def _tool(tool: Tool) -> pb.Tool:
    function = tool.get("function", tool)
    parameters = function.get("parameters")
    return pb.Tool(
        name=function["name"],
        description=function.get("description") or "",
        parameters="" if parameters is None else _as_json(parameters),
    )


def _as_json(value: str | Mapping[str, Any]) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@reading_an_answer()
def parts_from_proto(
    response: pb.GenerateResponse, began: pb.GenerateResponse
) -> list[GenerationPart]:
    """Return what is new in a response; `began` is the first one, which says who answers."""
    who = began.model, began.version, began.route
    parts = [_part(chunk, who) for chunk in response.chunks]
    scores = tuple(map(_score, response.prompt_scores))
    if scores:
        parts.insert(0, GenerationPart(*who, prompt_scores=scores))
    if response.HasField("usage"):
        parts.append(GenerationPart(*who, usage=usage_from_proto(response.usage)))
    return parts


def _part(chunk: pb.GeneratedChunk, who: tuple[str, int, str]) -> GenerationPart:
    return GenerationPart(
        *who,
        chunk.choice,
        chunk.text,
        tuple(chunk.token_ids),
        _FINISHED.get(chunk.finish_reason),
        _stopped_by(chunk),
        tuple(map(_score, chunk.scores)),
        tuple(ToolCall(call.id, call.name, call.arguments) for call in chunk.tool_calls),
    )


def _stopped_by(chunk: pb.GeneratedChunk) -> str | int | None:
    which = chunk.WhichOneof("stopped_by")
    if which is None:
        return None
    return chunk.stop_string if which == "stop_string" else chunk.stop_token_id


def _score(score: pb.TokenScore) -> TokenScore:
    top = tuple(zip(score.top_token_ids, score.top_logprobs, strict=True))
    return TokenScore(score.token_id, score.logprob, score.token, top)


def generation_of(parts: Iterable[GenerationPart]) -> Generation:
    """All parts of the answers to a prompt, put together."""
    every = list(parts)
    of_choice: dict[int, list[GenerationPart]] = {}
    for part in every:
        if part.usage is None and not part.prompt_scores:
            of_choice.setdefault(part.choice, []).append(part)
    choices = [_joined(of_choice[number]) for number in sorted(of_choice)]
    first = every[0]
    return Generation(
        first.model,
        first.version,
        first.route,
        tuple(choices) or (GeneratedChoice(""),),
        next((part.usage for part in every if part.usage), Usage()),
        next((part.prompt_scores for part in every if part.prompt_scores), ()),
    )


def _joined(parts: Sequence[GenerationPart]) -> GeneratedChoice:
    last = parts[-1]
    return GeneratedChoice(
        "".join(part.text for part in parts),
        tuple(token for part in parts for token in part.token_ids),
        last.finish_reason,
        last.stopped_by,
        tuple(score for part in parts for score in part.scores),
        tuple(call for part in parts for call in part.tool_calls),
    )


def usage_from_proto(usage: pb.Usage) -> Usage:
    """The tokens of a call."""
    return Usage(usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens)


@reading_an_answer()
def scores_from_proto(response: pb.ScoreResponse) -> Scores:
    """The scores of continuations."""
    return Scores(
        response.model,
        response.version,
        response.route,
        tuple(tuple(map(_score, result.scores)) for result in response.results),
        usage_from_proto(response.usage),
        response.tokenizer_digest,
        response.vocabulary_size,
    )


def tokens_from_proto(response: pb.TokenizeResponse) -> Tokens:
    """The tokens of a text."""
    return Tokens(
        response.model,
        response.version,
        tuple(response.token_ids),
        tuple(response.tokens),
        response.context_length,
        response.tokenizer_digest,
    )


def ranking_from_proto(response: pb.RerankResponse) -> Ranking:
    """Documents in their order."""
    return Ranking(
        response.model,
        response.version,
        response.route,
        tuple(RankedDocument(each.index, each.score) for each in response.results),
        usage_from_proto(response.usage),
    )
