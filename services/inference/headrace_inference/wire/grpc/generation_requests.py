"""Requests of GenerationService as the domain's nouns: pure functions, but for what a tokenizer does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from headrace.errors import InvalidArgument
from headrace.inference.v1 import generation_service_pb2 as pb
from headrace_inference.domain.encoding.request_texts import (
    CallerText,
    embedding_request,
    rerank_request,
)
from headrace_inference.domain.encoding.requests import EncoderModel, EncodingRequest
from headrace_inference.domain.generation.model import (
    ChatFormat,
    ChatMessage,
    GenerativeModel,
    TextCodec,
    Tool,
)
from headrace_inference.domain.generation.options import check_prompt, request_options
from headrace_inference.domain.generation.requests import (
    GenerationRequest,
    Grammar,
    GrammarKind,
    StopConditions,
)

MAX_CONTINUATIONS = 256
MAX_TOP_LOGPROBS = 1024
"""Of a score: so many of the most probable tokens are nearly all of a distribution, and few kilobytes."""
ROLES = ("system", "developer", "user", "assistant", "tool")
LONG_TEXT = 16_384
"""Characters from which a thread makes tokens of a text: that takes a millisecond and more."""

Prompted = pb.GenerateRequest | pb.ScoreRequest | pb.TokenizeRequest
P = ParamSpec("P")
R = TypeVar("R")


async def prompt_of(model: GenerativeModel | EncoderModel, request: Prompted) -> list[int]:
    """The prompt as tokens. Raises InvalidArgument."""
    match request.WhichOneof("prompt"):
        case "text":
            special = not request.HasField("add_special_tokens") or request.add_special_tokens
            return await tokens_of(model.codec, request.text, add_special_tokens=special)
        case "token_ids" if not isinstance(request, pb.TokenizeRequest):
            return known_tokens(request.token_ids.ids, model.facts.vocabulary_size)
        case "chat":
            return await _conversation(model, request.chat)
        case _:
            raise InvalidArgument("PROMPT_MISSING", "the request has no prompt: send one")


async def tokens_of(codec: TextCodec, text: str, *, add_special_tokens: bool) -> list[int]:
    """A text as tokens. Raises InvalidArgument."""
    return await _run(len(text), codec.encode, text, add_special_tokens=add_special_tokens)


def known_tokens(tokens: Sequence[int], vocabulary: int) -> list[int]:
    """The tokens, if the version has them. Raises InvalidArgument (TOKEN_UNKNOWN)."""
    for token in tokens:
        if not 0 <= token < vocabulary:
            raise InvalidArgument(
                "TOKEN_UNKNOWN",
                f"token {token} is none of the version's: they are 0 to {vocabulary - 1}",
            )
    return list(tokens)


async def _conversation(model: GenerativeModel | EncoderModel, chat: pb.Chat) -> list[int]:
    _check_turns(chat)
    form: ChatFormat | None = getattr(model, "chat", None)  # encoders have none
    if form is None:
        raise InvalidArgument(
            "CHAT_TEMPLATE_MISSING",
            "this version has no chat template, so nobody can chat with it: send a text as the prompt",
        )
    return await _run(
        chat.ByteSize(),
        form.prompt,
        [_message(message) for message in chat.messages],
        [_tool(tool) for tool in chat.tools],
        continues_last=chat.continue_last,
        variables=_object(chat.template_variables, "template_variables"),
    )


def _check_turns(chat: pb.Chat) -> None:
    if not chat.messages:
        raise InvalidArgument("PROMPT_MISSING", "the conversation has no messages: send one")
    for place, message in enumerate(chat.messages):
        if message.role not in ROLES:
            raise InvalidArgument(
                "PARAMETER_INVALID",
                f"the role of messages[{place}] must be one of {', '.join(ROLES)}, not "
                f"'{message.role[:40]}'",
                facts={"parameter": f"messages[{place}].role"},
            )


async def _run(size: int, made: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
    if size < LONG_TEXT:
        return made(*given, **named)
    return await asyncio.to_thread(made, *given, **named)


def _message(message: pb.ChatMessage) -> ChatMessage:
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in message.tool_calls
    ]
    fields: dict[str, Any] = {"role": message.role, "content": message.content}
    optional = {
        "tool_calls": calls,
        "tool_call_id": message.tool_call_id,
        "name": message.name,
    }
    return fields | {name: value for name, value in optional.items() if value}


def _tool(tool: pb.Tool) -> Tool:
    parameters = _object(tool.parameters, f"the parameters of the tool '{tool.name[:64]}'")
    return {"name": tool.name, "description": tool.description, "parameters": parameters}


def _object(text: str, what: str) -> Mapping[str, Any]:
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument("PARAMETER_INVALID", f"{what} must be JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidArgument("PARAMETER_INVALID", f"{what} must be a JSON object")
    return found


async def generation_of(model: GenerativeModel, request: pb.GenerateRequest) -> GenerationRequest:
    """What is to be generated. Raises InvalidArgument."""
    prompt = await prompt_of(model, request)
    options = request_options(model, _asked(request), len(prompt), {"choices": "n"})
    return GenerationRequest(
        prompt,
        options.stop,
        options.sampling,
        options.choices,
        _grammar(request.grammar) if request.HasField("grammar") else None,
        options.logprobs,
        options.prompt_logprobs,
        options.skip_special_tokens,
        request.priority,
    )


def _asked(request: pb.GenerateRequest) -> dict[str, object]:
    """The options that a request says, by the domain's names."""
    asked: dict[str, object] = {}
    for field, value in request.options.ListFields():
        if field.name == "logit_bias":
            asked["logit_bias"] = dict(value)
        else:
            asked[field.name] = list(value) if field.is_repeated else value
    for name, ours in (("n", "choices"), ("logprobs", "logprobs")):
        if request.HasField(name):
            asked[ours] = getattr(request, name)
    if request.HasField("prompt_logprobs"):
        asked["prompt_logprobs"] = request.prompt_logprobs
    return asked


_KINDS: Mapping[str, GrammarKind] = {
    "json_schema": GrammarKind.JSON_SCHEMA,
    "json_object": GrammarKind.JSON_OBJECT,
    "regex": GrammarKind.REGEX,
    "lark": GrammarKind.LARK,
    "choices": GrammarKind.CHOICE,
}


def _grammar(grammar: pb.Grammar) -> Grammar | None:
    which = grammar.WhichOneof("grammar")
    if which is None or (which == "json_object" and not grammar.json_object):
        return None
    if which == "choices":
        return Grammar(GrammarKind.CHOICE, json.dumps(list(grammar.choices.texts)))
    text = "" if which == "json_object" else getattr(grammar, which)
    return Grammar(_KINDS[which], text)


async def scored_of(model: GenerativeModel, request: pb.ScoreRequest) -> list[GenerationRequest]:
    """What scores each continuation. Raises InvalidArgument."""
    prompt = await prompt_of(model, request)
    vocabulary = model.facts.vocabulary_size
    count, top = len(request.continuations), request.top_logprobs
    if not 1 <= count <= MAX_CONTINUATIONS:
        raise _out_of_range("continuations", f"1 to {MAX_CONTINUATIONS} texts", count)
    if not 0 <= top <= MAX_TOP_LOGPROBS:
        raise _out_of_range("top_logprobs", f"0 to {MAX_TOP_LOGPROBS}", top)
    requests = []
    for each in request.continuations:
        tokens = prompt + await _continuation(model, each)
        check_prompt(model, len(prompt))
        check_prompt(model, len(tokens) - 1)
        requests.append(
            GenerationRequest(
                tokens,
                StopConditions(max_tokens=0),
                prompt_logprobs=min(top, vocabulary),
                priority=request.priority,
                scored_from=len(prompt),
            )
        )
    return requests


async def _continuation(model: GenerativeModel, continuation: pb.Continuation) -> list[int]:
    if continuation.WhichOneof("continuation") == "token_ids":
        tokens = known_tokens(continuation.token_ids.ids, model.facts.vocabulary_size)
    else:
        tokens = await tokens_of(model.codec, continuation.text, add_special_tokens=False)
    if not tokens:
        raise InvalidArgument(
            "PROMPT_EMPTY", "a continuation has no tokens: there is nothing to score"
        )
    return tokens


def _out_of_range(name: str, wanted: str, value: int) -> InvalidArgument:
    return InvalidArgument(
        "PARAMETER_INVALID", f"'{name}' must be {wanted}, not {value}", facts={"parameter": name}
    )


async def embedding_of(model: EncoderModel, name: str, request: pb.EmbedRequest) -> EncodingRequest:
    """What is to become vectors. Raises InvalidArgument."""
    if request.texts and request.token_ids:
        raise InvalidArgument(
            "PARAMETER_INVALID", "send either 'texts' or 'token_ids': their order would be unknown"
        )
    texts: list[CallerText] = [*request.texts, *(list(one.ids) for one in request.token_ids)]
    size = request.ByteSize()
    return await _run(size, embedding_request, model, name, texts, truncate=request.truncate)


async def ranking_of(model: EncoderModel, name: str, request: pb.RerankRequest) -> EncodingRequest:
    """What is to be scored. Raises InvalidArgument."""
    if request.top_n < 0:
        raise _out_of_range("top_n", "0 or more", request.top_n)
    documents, size = list(request.documents), request.ByteSize()
    return await _run(
        size, rerank_request, model, name, request.query, documents, truncate=request.truncate
    )
