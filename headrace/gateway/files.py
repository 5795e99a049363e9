"""Replaces files as a whole, for a reader that is told when one was moved into place."""

from __future__ import annotations

from pathlib import Path

from headrace.gateway.config.bootstrap import as_text
from headrace.gateway.config.messages import Message


def replace_message(file: Path, message: Message) -> bool:
    """Write a message unless the file has it; return whether that was needed. Raises OSError."""
    text = as_text(message)
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return False
    new = file.with_name(f".{file.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(file)
    return True
