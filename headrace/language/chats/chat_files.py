"""Finds a model's chat template, in any of the places where tools write it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace.language.language_files import invalid, read_config

MAX_TEMPLATE_BYTES = 128 << 10
"""Of a template's text; the largest that models have is of 30 KB."""

_TOKENS = (
    "bos_token",
    "eos_token",
    "unk_token",
    "pad_token",
    "sep_token",
    "cls_token",
    "mask_token",
)


@dataclass(frozen=True, slots=True)
class ChatFiles:
    """A folder's chat templates, and what they may name."""

    default: str
    with_tools: str | None = None
    """The one for conversations with tools, where it is another one."""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """Control tokens by the names that templates have for them, such as `bos_token`."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the templates' text, in hex digits."""
        text = self.default + (f"\0{self.with_tools}" if self.with_tools is not None else "")
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def find_chat_files(folder: Path) -> ChatFiles | None:
    """Return a folder's chat templates, or None. Raises InvalidArgument (LANGUAGE_FILES_INVALID)."""
    config = read_config(folder / "tokenizer_config.json")
    named = _named(config.get("chat_template"))
    for path in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        named[path.stem] = _read(path)
    alone = _read(folder / "chat_template.jinja") or _legacy(folder)
    if alone:
        named["default"] = alone
    default = named.get("default") or next(iter(named.values()), "")
    if not default:
        return None
    for text in named.values():
        if len(text) > MAX_TEMPLATE_BYTES:
            raise invalid(f"its chat template has over {MAX_TEMPLATE_BYTES} characters")
    return ChatFiles(default, named.get("tool_use"), _tokens(folder, config))


def _named(held: object) -> dict[str, str]:
    """The templates of a tokenizer's config: one text, or a list of them with names."""
    if isinstance(held, str):
        return {"default": held}
    listed = held if isinstance(held, list) else []
    return {
        str(one.get("name")): one["template"]
        for one in listed
        if isinstance(one, dict) and isinstance(one.get("template"), str)
    }


def _legacy(folder: Path) -> str:
    held = read_config(folder / "chat_template.json").get("chat_template")
    return held if isinstance(held, str) else ""


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_TEMPLATE_BYTES:
            raise invalid(f"{path.name} has over {MAX_TEMPLATE_BYTES} bytes")
        return path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise invalid(f"{path.name} cannot be read: {str(error)[:200]}") from None


def _tokens(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    special = read_config(folder / "special_tokens_map.json")
    found = {}
    for name in _TOKENS:
        held = config.get(name) or special.get(name)
        text = held.get("content") if isinstance(held, dict) else held
        if isinstance(text, str):
            found[name] = text
    return found
