"""The body of a chat, as OpenAI and vLLM write it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from headrace.errors import InvalidArgument
from headrace_inference.wire.openai.bodies import Members, known, unsupported, wrong
from headrace_inference.wire.openai.errors import PARAMETER

Small = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Schema = dict[str, object]

MAX_MESSAGES = 65_536
_ROLES = ("developer", "system", "user", "assistant", "tool", "function")
_TEXT_PARTS = ("text", "input_text", "output_text", "refusal")


class Part(msgspec.Struct, frozen=True):
    """A part of a message."""

    type: str
    text: str | None = None
    refusal: str | None = None


class Called(msgspec.Struct, frozen=True):
    """The function of a call."""

    name: str
    arguments: str


class CallMade(msgspec.Struct, frozen=True):
    """A call that an assistant made."""

    function: Called
    id: str | None = None
    type: str | None = None


class Message(msgspec.Struct, frozen=True):
    """A turn of a conversation."""

    role: str
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[CallMade] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """All that it says."""
        if isinstance(self.content, list):
            return "".join(part.text or "" for part in self.content)
        return self.content or ""


class Function(msgspec.Struct, frozen=True):
    """A function that may be called."""

    name: str
    description: str | None = None
    parameters: Schema | None = None
    strict: bool | None = None


class Tool(msgspec.Struct, frozen=True):
    """A tool."""

    type: str
    function: Function | None = None


class JsonSchema(msgspec.Struct, frozen=True):
    """A schema that an answer is held to."""

    schema: Schema | None = None
    name: str | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, frozen=True):
    """The form of an answer."""

    type: str
    json_schema: JsonSchema | None = None


class StructuredOutputs(msgspec.Struct, frozen=True):
    """The form of an answer, in vLLM's words."""

    json: str | Schema | None = None
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None
    structural_tag: str | Schema | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """Options of a stream: what it has beside the answer."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class TextBody(msgspec.Struct, frozen=True, kw_only=True):
    """The members common to chats and completions. Options of sampling are looked at elsewhere."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    guided_json: str | Schema | None = None
    guided_regex: str | None = None
    guided_choice: list[str] | None = None
    guided_grammar: str | None = None
    echo: bool | None = None
    add_special_tokens: bool | None = None
    return_token_ids: bool | None = None
    return_tokens_as_token_ids: bool | None = None
    cache_salt: str | None = None

    @property
    def usage_in_stream(self) -> bool:
        """Tell whether a stream ends with its usage."""
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def usage_in_each(self) -> bool:
        """Tell whether each chunk of a stream has the usage so far."""
        return bool(self.stream_options and self.stream_options.continuous_usage_stats)


class ChatBody(TextBody, frozen=True, kw_only=True):
    """A conversation, and how it goes on."""

    messages: Annotated[list[Message], msgspec.Meta(min_length=1, max_length=MAX_MESSAGES)]
    logprobs: bool | None = None
    top_logprobs: Small | None = None
    tools: list[Tool] | None = None
    tool_choice: str | Schema | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None
    chat_template_kwargs: Schema | None = None
    documents: list[Schema] | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None

    @property
    def characters(self) -> int:
        """Count them over all of its messages."""
        return sum(len(message.text) for message in self.messages)


def chat_body(members: Members) -> ChatBody:
    """The chat that these members ask for. Raises InvalidArgument."""
    body = known(ChatBody, members)
    check_stream(body)
    for number, message in enumerate(body.messages):
        _check_message(f"messages[{number}]", message)
    if body.top_logprobs is not None and not body.logprobs:
        raise wrong("top_logprobs", "'top_logprobs' needs 'logprobs' to be true")
    _check_ending(body)
    if body.stream and "prompt_logprobs" in members:
        raise unsupported("prompt_logprobs", "'prompt_logprobs' is not offered in streams")
    if body.echo:
        raise unsupported("echo", "'echo' is not offered for chats; /v1/completions has it")
    if body.add_special_tokens:
        raise unsupported(
            "add_special_tokens", "'add_special_tokens' is the chat template's to say"
        )
    return body


def check_stream(body: TextBody) -> None:
    """Refuse options of a stream where there is none."""
    if body.stream_options is not None and not body.stream:
        raise wrong("stream_options", "'stream_options' needs 'stream' to be true")


def _check_ending(body: ChatBody) -> None:
    if not body.continue_final_message:
        if body.add_generation_prompt is False:
            raise unsupported(
                "add_generation_prompt",
                "'add_generation_prompt' can be false only where 'continue_final_message' is true",
            )
        return
    if body.add_generation_prompt:
        raise wrong(
            "continue_final_message",
            "'continue_final_message' and 'add_generation_prompt' cannot both be true",
        )
    if body.messages[-1].role != "assistant":
        raise wrong("continue_final_message", "the message to go on with has to be the assistant's")


def _check_message(place: str, message: Message) -> None:
    if message.role not in _ROLES:
        raise wrong(
            f"{place}.role",
            f"'{place}.role' is '{message.role[:40]}'; it has to be one of {', '.join(_ROLES)}",
        )
    if message.content is None and message.role != "assistant":
        raise wrong(f"{place}.content", f"'{place}.content' has to be a text")
    if message.role == "tool" and not message.tool_call_id:
        raise wrong(f"{place}.tool_call_id", f"'{place}.tool_call_id' has to say what it answers")
    for number, part in enumerate(message.content if isinstance(message.content, list) else ()):
        _check_part(f"{place}.content[{number}]", part)


def _check_part(place: str, part: Part) -> None:
    if part.type not in _TEXT_PARTS:
        raise InvalidArgument(
            "CONTENT_UNSUPPORTED",
            f"'{place}' is of type '{part.type[:40]}'; the model takes text alone",
            facts={PARAMETER: f"{place}.type"},
        )
    if (part.refusal if part.type == "refusal" else part.text) is None:
        raise wrong(f"{place}.text", f"'{place}.text' is missing")
