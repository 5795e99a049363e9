"""Makes tokens of texts and conversations, and texts of tokens."""

from __future__ import annotations

import msgspec

from headrace.errors import InvalidArgument
from headrace.service.http.answers import Response, json_response
from headrace_inference.domain.generation.model import GenerativeModel
from headrace_inference.domain.ingress.language_calls import LanguageCall
from headrace_inference.wire.openai.bodies import Members, known, unsupported, wrong
from headrace_inference.wire.openai.chat_body import ChatBody, chat_body
from headrace_inference.wire.openai.chats import chat_prompt
from headrace_inference.wire.openai.errors import PARAMETER
from headrace_inference.wire.openai.models import context_length
from headrace_inference.wire.openai.port import OpenAiPort, Received, aside
from headrace_inference.wire.openai.tool_choices import tool_choice_of


class TokenizeBody(msgspec.Struct, frozen=True):
    """A text to make tokens of; or a conversation, whose members are those of a chat."""

    prompt: str | None = None
    messages: list[object] | None = None
    add_special_tokens: bool | None = None
    add_generation_prompt: bool | None = None
    return_token_strs: bool | None = None


class DetokenizeBody(msgspec.Struct, frozen=True):
    """Tokens to make a text of."""

    tokens: list[int]


class TokenRoutes:
    """Decodes, asks the tokenizer of the version, encodes."""

    def __init__(self, port: OpenAiPort) -> None:
        self._port = port

    async def tokenize(self, received: Received) -> Response:
        """Make tokens, as a completion or a chat would."""
        async with self._port.call(received) as (call, members):
            body = known(TokenizeBody, members)
            tokens = await aside(len(received.body), _tokens, call, members, body)
            answer: dict[str, object] = {
                "count": len(tokens),
                "max_model_len": context_length(call.version.record),
                "tokens": tokens,
                "token_strs": None,
            }
            if body.return_token_strs:
                codec = call.generative.codec
                answer["token_strs"] = [
                    codec.token_bytes(token).decode(errors="replace") for token in tokens
                ]
            return json_response(answer)

    async def detokenize(self, received: Received) -> Response:
        """Make a text of tokens."""
        async with self._port.call(received) as (call, members):
            model = call.generative
            text = await aside(len(received.body), _text, model, members)
            return json_response({"prompt": text})


def _text(model: GenerativeModel, members: Members) -> str:
    body = known(DetokenizeBody, members)
    check_tokens(model, body.tokens, "tokens")
    return model.codec.decode(body.tokens, skip_special_tokens=False)


def _tokens(call: LanguageCall, members: Members, body: TokenizeBody) -> list[int]:
    model = call.generative
    if body.messages is not None:
        chat = _conversation(members, body)
        return chat_prompt(model, members, chat, tool_choice_of(chat))
    if body.prompt is None:
        raise wrong("prompt", "'prompt' has to be a text; or send 'messages'")
    adds = body.add_special_tokens is not False
    return model.codec.encode(body.prompt, add_special_tokens=adds, parse_special=True)


def _conversation(members: Members, body: TokenizeBody) -> ChatBody:
    if body.prompt is not None:
        raise wrong("messages", "one of 'prompt' and 'messages' is made tokens of, not both")
    if body.add_special_tokens:
        raise unsupported(
            "add_special_tokens", "'add_special_tokens' is the chat template's to say"
        )
    return chat_body(members)


def check_tokens(model: GenerativeModel, tokens: list[int], parameter: str) -> None:
    """Raise InvalidArgument for a token that the model does not have."""
    size = model.facts.vocabulary_size
    strange = next((token for token in tokens if not 0 <= token < size), None)
    if strange is not None:
        raise InvalidArgument(
            "TOKEN_UNKNOWN",
            f"'{parameter}' has the token {strange}; the model's tokens are 0 to {size - 1}. They are its "
            "own: those of another tokenizer mean nothing to it",
            facts={PARAMETER: parameter},
        )
