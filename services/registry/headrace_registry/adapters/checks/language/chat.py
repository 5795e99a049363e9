"""Checks a version's chat template, which is a program of somebody whom nobody trusts."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.language.language_files import read_config, text
from headrace.language.tokenizer import TextTokenizer


@dataclass(frozen=True, slots=True)
class ChatFacts:
    """The findings on a chat template; '' and () where there is none."""

    template_digest: str = ""
    capabilities: tuple[str, ...] = ()
    prompt: Sequence[int] = ()
    """A greeting, as tokens."""
    notices: tuple[str, ...] = ()


def check_chat(folder: Path, _tokenizer: TextTokenizer) -> ChatFacts:
    """Return the findings on the template in a folder. Raises InvalidArgument (CHAT_TEMPLATE_INVALID)."""
    template = text(read_config(folder / "tokenizer_config.json"), "chat_template")
    if not template:
        return ChatFacts()
    return ChatFacts(hashlib.sha256(template.encode()).hexdigest(), ("chat",))
