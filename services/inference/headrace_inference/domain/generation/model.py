"""Declares what wires need of a generative version: its texts as tokens, and its engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from headrace.language.chats.tool_reader import ToolAnswers
from headrace.state.language_records import GenerationConfig, LanguageFacts
from headrace_inference.domain.generation.engine import GenerationEngine
from headrace_inference.domain.generation.grammars import Grammars

ChatMessage = Mapping[str, Any]
"""A message in OpenAI's form, as it came: `role`, `content`, `tool_calls`, `tool_call_id`, `name`."""
Tool = Mapping[str, Any]
"""A function in OpenAI's form: `name`, `description`, `parameters`."""


class TextCodec(Protocol):
    """Texts as tokens and back. Every method may be called from any thread."""

    @property
    def size(self) -> int:
        """Count the tokens that it knows."""

    def encode(
        self, text: str, *, add_special_tokens: bool, parse_special: bool = False
    ) -> list[int]:
        """Make tokens of a text; control tokens written in it are plain text unless `parse_special`.

        Raises InvalidArgument (TEXT_INVALID) for what is not Unicode text.
        """

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Make a text of tokens. Tokens that it does not know are left out."""

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes that a token stands for, which may be a part of a character."""


class ChatFormat(Protocol):
    """The form in which a model was taught conversations: its chat template, and its tool calls."""

    def prompt(
        self,
        messages: Sequence[ChatMessage],
        tools: Sequence[Tool] = (),
        *,
        continues_last: bool = False,
        variables: Mapping[str, Any] | None = None,
    ) -> list[int]:
        """Write a conversation as tokens, up to where the assistant's answer begins.

        Control tokens in what people wrote are plain text. It may take milliseconds: long ones go to a
        thread. Raises InvalidArgument (CHAT_TEMPLATE_MISSING, CHAT_TEMPLATE_FAILED, CONTENT_UNSUPPORTED).
        """

    def tool_answers(self, tools: Sequence[Tool], *, must: bool, several: bool) -> ToolAnswers:
        """Return what holds an answer to calls of these, which it must make or may, and what reads them."""


class GenerativeModel(Protocol):
    """A loaded generative version, for wires."""

    facts: LanguageFacts
    config: GenerationConfig
    """With what the replica chose for what it leaves open."""
    codec: TextCodec
    chat: ChatFormat | None
    """None where the version has no chat template."""
    end_tokens: frozenset[int]
    grammars: Grammars
    engine: GenerationEngine
