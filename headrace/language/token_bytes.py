"""Says which bytes a token stands for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class TokenBytes:
    """The bytes of a tokenizer's tokens, which its decoder joins to text."""

    def __init__(self, tokenizer: Any, added: Mapping[int, str]) -> None:
        self._tokenizer = tokenizer
        self._added = added
        state = json.loads(tokenizer.decoder.__getstate__()) if tokenizer.decoder else {}
        steps = list(_steps(state))
        kinds = {step.get("type") for step in steps}
        self._letters = _byte_letters() if "ByteLevel" in kinds else None
        self._bytes_fall_back = "ByteFallback" in kinds
        self._spaces = [one for one in map(_space, steps) if one]

    def of(self, token: int) -> bytes:
        """Return a token's bytes, b'' where there is no such token."""
        if token in self._added:
            return self._added[token].encode()
        written = self._tokenizer.id_to_token(token)
        if written is None:
            return b""
        if self._letters is not None:
            return b"".join(self._letters.get(each, each.encode()) for each in written)
        if self._bytes_fall_back and (byte := _BYTE.fullmatch(written)):
            return bytes([int(byte[1], 16)])
        for space in self._spaces:
            written = written.replace(space, " ")
        return str(written).encode()


def _steps(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A decoder's steps, which may be sequences again."""
    yield state
    for step in state.get("decoders", ()):
        yield from _steps(step)


def _space(step: Mapping[str, Any]) -> str:
    """The character that a step writes a space for; '' where it does not."""
    if step.get("type") == "Metaspace":
        return str(step.get("replacement", ""))
    if step.get("type") == "Replace" and step.get("content") == " ":
        return str(step.get("pattern", {}).get("String", ""))
    return ""


def _byte_letters() -> dict[str, bytes]:
    """The letter that byte-level vocabularies write for each byte: itself where it can be printed."""
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {chr(byte): bytes([byte]) for byte in printed}
    others = (byte for byte in range(256) if byte not in printed)
    letters.update((chr(256 + place), bytes([byte])) for place, byte in enumerate(others))
    return letters
