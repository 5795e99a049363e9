"""Replaces files as a whole, for a reader that is told when one was moved into place."""

from __future__ import annotations

from pathlib import Path

from headrace.gateway.config.bootstrap import as_text
from headrace.gateway.config.messages import Message
from headrace.service.private_files import write_private


def replace_message(file: Path, message: Message) -> bool:
    """Write a message unless the file has it; return whether that was needed. Raises OSError."""
    text = as_text(message)
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return False
    write_private(file, text)
    return True
