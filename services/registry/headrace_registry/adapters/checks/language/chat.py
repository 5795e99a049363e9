"""Checks a version's chat template, which is a program of somebody whom nobody trusts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace import errors
from headrace.language.chats.chat_files import find_chat_files
from headrace.language.chats.chat_format import TemplateChatFormat
from headrace.language.chats.chat_template import ChatTemplate
from headrace.language.tokenizer import TextTokenizer

_GREETING = ({"role": "user", "content": "Hello"},)


@dataclass(frozen=True, slots=True)
class ChatFacts:
    """The findings on a chat template; '' and () where there is none."""

    template_digest: str = ""
    capabilities: tuple[str, ...] = ()
    prompt: Sequence[int] = ()
    """A greeting, as tokens."""


def check_chat(folder: Path, tokenizer: TextTokenizer) -> ChatFacts:
    """Return the findings on the templates in a folder, which have to write a greeting.

    Raises InvalidArgument (CHAT_TEMPLATE_INVALID, LANGUAGE_FILES_INVALID).
    """
    files = find_chat_files(folder)
    if files is None:
        return ChatFacts()
    template = ChatTemplate(files)
    try:
        prompt = TemplateChatFormat(template, tokenizer).prompt(_GREETING)
    except errors.InvalidArgument as error:
        raise errors.InvalidArgument(
            "CHAT_TEMPLATE_INVALID", f"the chat template writes no greeting: {error.message}"
        ) from error
    capabilities = ("chat", "tools") if template.knows_tools else ("chat",)
    return ChatFacts(files.digest, capabilities, prompt)
