"""Checks a version's chat template, which is a program of somebody whom nobody trusts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import InvalidArgument
from headrace.language.chat_files import find_chat_files
from headrace.language.chat_format import TemplateChatFormat
from headrace.language.chat_template import ChatTemplate
from headrace.language.tokenizer import TextTokenizer


@dataclass(frozen=True, slots=True)
class ChatFacts:
    """The findings on a chat template; '' and () where there is none."""

    template_digest: str = ""
    capabilities: tuple[str, ...] = ()
    prompt: Sequence[int] = ()
    """A greeting, as tokens."""
    notices: tuple[str, ...] = ()


def check_chat(folder: Path, tokenizer: TextTokenizer) -> ChatFacts:
    """Return the findings on the template in a folder. Raises InvalidArgument (CHAT_TEMPLATE_INVALID)."""
    files = find_chat_files(folder)
    if files is None:
        return ChatFacts()
    chat = TemplateChatFormat(ChatTemplate(files), tokenizer)
    try:
        prompt = chat.prompt([{"role": "user", "content": "Hello"}])
    except InvalidArgument as error:
        raise InvalidArgument("CHAT_TEMPLATE_INVALID", error.message) from None
    tools = ("tools",) if chat.template.knows_tools else ()
    return ChatFacts(files.digest, ("chat", *tools), prompt)
