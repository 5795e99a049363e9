"""Requests of GenerationService as the domain's nouns: pure functions, but for what a tokenizer does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

from headrace.errors import InvalidArgument
from headrace.inference.v1 import generation_service_pb2 as pb
from headrace.language.chats.tool_reader import ToolAnswers
from headrace.state.language_records import VersionKind
from headrace_inference.domain.encoding.request_texts import (
    CallerText,
    embedding_request,
    rerank_request,
)
from headrace_inference.domain.encoding.requests import EncoderModel, EncodingRequest
from headrace_inference.domain.generation.model import (
    ChatFormat,
    GenerativeModel,
    TextCodec,
)
from headrace_inference.domain.generation.options import (
    CheckedOptions,
    check_prompt,
    request_options,
)
from headrace_inference.domain.generation.requests import (
    GenerationRequest,
    Grammar,
    GrammarKind,
    StopConditions,
)
from headrace_inference.wire.grpc.conversations import (
    check_turns,
    json_object,
    message_of,
    tool_answers_of,
    tool_choice_of,
)

MAX_CONTINUATIONS = 256
MAX_TOP_LOGPROBS = 1024
"""Of a score: so many of the most probable tokens are nearly all of a distribution, and few kilobytes."""
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
            # Whoever writes a whole prompt writes its turns, too; a text to embed has none.
            is_prompt = model.facts.kind is VersionKind.GENERATION
            return await tokens_of(
                model.codec, request.text, add_special_tokens=special, parse_special=is_prompt
            )
        case "token_ids" if not isinstance(request, pb.TokenizeRequest):
            return known_tokens(request.token_ids.ids, model.facts.vocabulary_size)
        case "chat":
            return await _conversation(model, request.chat)
        case _:
            raise InvalidArgument("PROMPT_MISSING", "the request has no prompt: send one")


async def tokens_of(
    codec: TextCodec, text: str, *, add_special_tokens: bool, parse_special: bool = False
) -> list[int]:
    """A text as tokens. Raises InvalidArgument."""
    return await _run(
        len(text),
        codec.encode,
        text,
        add_special_tokens=add_special_tokens,
        parse_special=parse_special,
    )


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
    check_turns(chat)
    form: ChatFormat | None = getattr(model, "chat", None)  # encoders have none
    if form is None:
        raise InvalidArgument(
            "CHAT_TEMPLATE_MISSING",
            "this version has no chat template, so nobody can chat with it: send a text as the prompt",
        )
    return await _run(
        chat.ByteSize(),
        form.prompt,
        [message_of(message) for message in chat.messages],
        tool_choice_of(chat).tools,
        continues_last=chat.continue_last,
        variables=json_object(chat.template_variables, "template_variables"),
    )


async def _run(size: int, made: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
    if size < LONG_TEXT:
        return made(*given, **named)
    return await asyncio.to_thread(made, *given, **named)


async def generation_of(
    model: GenerativeModel, request: pb.GenerateRequest
) -> tuple[GenerationRequest, ToolAnswers | None]:
    """Return the request, and what finds calls of tools in its answer. Raises InvalidArgument."""
    prompt = await prompt_of(model, request)
    asked, grammar = _asked(request), _grammar(request.grammar)
    answers = tool_answers_of(model.chat, request.chat) if model.chat is not None else None
    if answers is not None:
        if grammar is not None:
            raise InvalidArgument(
                "PARAMETER_INVALID",
                "a grammar is not offered beside tools: set 'tool_choice' to none, or leave it out",
            )
        grammar = Grammar(GrammarKind.LARK, answers.grammar)
        if answers.shows_control:
            asked["skip_special_tokens"] = False
    if grammar is not None:
        await asyncio.to_thread(model.grammars.check, grammar)
    options = request_options(model, asked, len(prompt), {"choices": "n"})
    return _with_options(prompt, options, grammar, request.priority), answers


def _with_options(
    prompt: list[int], options: CheckedOptions, grammar: Grammar | None, priority: int
) -> GenerationRequest:
    return GenerationRequest(
        prompt,
        options.stop,
        options.sampling,
        options.choices,
        grammar,
        options.logprobs,
        options.prompt_logprobs,
        options.skip_special_tokens,
        priority,
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
    """Return the requests that score each continuation. Raises InvalidArgument."""
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
    """Read the texts that become vectors. Raises InvalidArgument."""
    if request.texts and request.token_ids:
        raise InvalidArgument(
            "PARAMETER_INVALID", "send either 'texts' or 'token_ids': their order would be unknown"
        )
    texts: list[CallerText] = [*request.texts, *(list(one.ids) for one in request.token_ids)]
    size = request.ByteSize()
    return await _run(size, embedding_request, model, name, texts, truncate=request.truncate)


async def ranking_of(model: EncoderModel, name: str, request: pb.RerankRequest) -> EncodingRequest:
    """Read the documents that are scored. Raises InvalidArgument."""
    if request.top_n < 0:
        raise _out_of_range("top_n", "0 or more", request.top_n)
    documents, size = list(request.documents), request.ByteSize()
    return await _run(
        size, rerank_request, model, name, request.query, documents, truncate=request.truncate
    )
