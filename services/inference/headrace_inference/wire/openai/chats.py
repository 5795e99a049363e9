"""Answers chats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headrace.errors import HeadraceError, InvalidArgument
from headrace.service.http.answers import Response
from headrace_inference.domain.generation.model import ChatFormat, GenerativeModel
from headrace_inference.domain.generation.options import check_characters
from headrace_inference.domain.generation.requests import GenerationRequest
from headrace_inference.domain.ingress.language_calls import LanguageCall
from headrace_inference.wire.openai.answer_head import answer_head
from headrace_inference.wire.openai.answer_parts import AnswerReader, TextReader
from headrace_inference.wire.openai.bodies import Members, unsupported
from headrace_inference.wire.openai.chat_answers import ChatForm, StreamedChat, WholeChat
from headrace_inference.wire.openai.chat_body import ChatBody, chat_body
from headrace_inference.wire.openai.event_answers import stream_answer
from headrace_inference.wire.openai.grammars import NamedGrammar, checked_grammar, grammar_of
from headrace_inference.wire.openai.option_names import options_in, refuse_unsupported
from headrace_inference.wire.openai.port import OpenAiPort, Received, aside
from headrace_inference.wire.openai.scores import TokenTexts
from headrace_inference.wire.openai.streams import read_all, usage_of
from headrace_inference.wire.openai.taught_calls import taught_answer
from headrace_inference.wire.openai.text_requests import Asked, generation_request
from headrace_inference.wire.openai.tool_choices import ToolChoice, tool_choice_of


@dataclass(frozen=True, slots=True)
class ChatPlan:
    """A chat that can be generated: what is asked of the engine, and how the answer is read."""

    body: ChatBody
    request: GenerationRequest
    new_reader: Callable[[], AnswerReader]
    calls_end_it: bool = True
    """Whether an answer that calls ends for that; one that has no choice simply ends."""


class ChatRoutes:
    """Decodes a chat, has it generated, encodes the answer."""

    def __init__(self, port: OpenAiPort) -> None:
        self._port = port

    async def chat(self, received: Received) -> Response:
        """Answer the next turn of a conversation."""
        async with self._port.call(received) as (call, members):
            plan = await chat_plan(call.generative, members, len(received.body))
            form = _form(call, plan)
            stream = call.generate(plan.request)
            if plan.body.stream:
                return await stream_answer(received, call, [stream], StreamedChat(form))
            whole = WholeChat(form)
            await read_all([stream], whole.take)
            return whole.response(usage_of([stream]))


async def chat_plan(model: GenerativeModel, members: Members, size: int) -> ChatPlan:
    """Plan the chat that these members ask for. Raises InvalidArgument."""
    draft = await aside(size, _drafted, model, members)
    body, choice = draft.body, draft.choice
    asked = Asked(draft.prompt, draft.options, await checked_grammar(model, draft.named))
    names = {"max_tokens": _limit_name(members), "logprobs": "top_logprobs"}
    request = generation_request(model, asked, body, names)
    return ChatPlan(body, request, draft.new_reader, calls_end_it=not choice.is_named)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A chat before its grammar was looked at."""

    body: ChatBody
    choice: ToolChoice
    prompt: list[int]
    options: dict[str, object]
    named: NamedGrammar | None
    new_reader: Callable[[], AnswerReader]


def _drafted(model: GenerativeModel, members: Members) -> _Draft:
    refuse_unsupported(members)
    body = chat_body(members)
    choice = tool_choice_of(body)
    options = chat_options(members, body)
    named, new_reader = grammar_of(body), _reader_of_text
    if choice.tools:
        _check_beside_tools(choice, named)
        answers = _chat_of(model).tool_answers(
            choice.shown(), must=choice.must, several=choice.several
        )
        named, new_reader = taught_answer(answers)
        if answers.shows_control:
            options["skip_special_tokens"] = False
    prompt = chat_prompt(model, members, body, choice)
    return _Draft(body, choice, prompt, options, named, new_reader)


def _check_beside_tools(choice: ToolChoice, named: NamedGrammar | None) -> None:
    """Refuse a form of the answer beside calls that the model may make or not: it would never call."""
    if named is not None and not choice.must:
        raise unsupported(
            named.parameter,
            f"'{named.parameter}' is not offered beside tools that the model may call or not; set "
            "'tool_choice' to none or required",
        )


def _reader_of_text() -> AnswerReader:
    return TextReader()


def chat_options(members: Members, body: ChatBody) -> dict[str, object]:
    """The options of a chat, by our names."""
    options = options_in(members)
    limit = _limit_name(members)
    if limit in members:
        options["max_tokens"] = members[limit]
    if body.logprobs:
        options["logprobs"] = body.top_logprobs or 0
    return options


def _limit_name(members: Members) -> str:
    """The newer name wins where both are given."""
    return "max_completion_tokens" if "max_completion_tokens" in members else "max_tokens"


def _form(call: LanguageCall, plan: ChatPlan) -> ChatForm:
    model, body = call.generative, plan.body
    kind = "chat.completion.chunk" if body.stream else "chat.completion"
    return ChatForm(
        head=answer_head("chatcmpl-", kind, body.model, call.version.record),
        prompt=plan.request.prompt,
        choices=plan.request.choices,
        new_reader=plan.new_reader,
        calls_end_it=plan.calls_end_it,
        texts=TokenTexts(model.codec, as_ids=bool(body.return_tokens_as_token_ids)),
        is_scored=bool(body.logprobs),
        ends=model.end_tokens,
        has_tokens=bool(body.return_token_ids),
        with_usage=body.usage_in_stream,
        usage_in_each=body.usage_in_each,
    )


def chat_prompt(
    model: GenerativeModel, members: Members, body: ChatBody, choice: ToolChoice
) -> list[int]:
    """A conversation as tokens. Raises InvalidArgument."""
    chat = _chat_of(model)
    check_characters(model, body.characters)
    messages = members["messages"]
    assert isinstance(messages, list), "it was looked at"
    return chat.prompt(
        messages,
        choice.shown(),
        continues_last=bool(body.continue_final_message),
        variables=_variables(body),
    )


def _chat_of(model: GenerativeModel) -> ChatFormat:
    if model.chat is None:
        raise no_template()
    return model.chat


def no_template() -> HeadraceError:
    """Refuse a chat with a version that knows no conversations."""
    return InvalidArgument(
        "CHAT_TEMPLATE_MISSING",
        "this version has no chat template, so it takes no conversations; ask it by /v1/completions, or "
        "push it again with a chat_template.jinja beside its tokenizer",
    )


def _variables(body: ChatBody) -> dict[str, object]:
    """Return what a template is given beside messages and tools."""
    named = {
        "reasoning_effort": body.reasoning_effort,
        "verbosity": body.verbosity,
        "documents": body.documents,
    }
    found: dict[str, object] = {name: value for name, value in named.items() if value is not None}
    return found | (body.chat_template_kwargs or {})
