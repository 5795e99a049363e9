"""The parts of what an assistant says: text, and calls of tools, each piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CallPart:
    """A part of a call: the first has its id and the function's name, the others more of the arguments."""

    index: int
    arguments: str = ""
    id: str = ""
    name: str = ""

    def members(self) -> dict[str, object]:
        """It in OpenAI's form. Clients join what they are told twice: a name comes once."""
        if not self.name:
            return {"index": self.index, "function": {"arguments": self.arguments}}
        return {
            "index": self.index,
            "id": self.id,
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        }


Part = str | CallPart


class AnswerReader(Protocol):
    """Takes the text of one choice apart, as it comes."""

    @property
    def has_calls(self) -> bool:
        """Tell whether there was a call so far."""

    def push(self, text: str) -> Sequence[Part]:
        """Return what more of the text says; what may be the beginning of a call is held back."""

    def finish(self) -> Sequence[Part]:
        """Return what was held back: nothing more comes."""


class TextReader:
    """Of a choice that calls nothing."""

    has_calls = False

    def push(self, text: str) -> Sequence[Part]:
        """The text."""
        return (text,) if text else ()

    def finish(self) -> Sequence[Part]:
        """Nothing: nothing is held back."""
        return ()


class WholeChoice:
    """Puts the parts of one choice together."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._calls: dict[int, list[CallPart]] = {}

    def take(self, parts: Sequence[Part]) -> None:
        """Take more of it."""
        for part in parts:
            if isinstance(part, str):
                self._texts.append(part)
            else:
                self._calls.setdefault(part.index, []).append(part)

    def message(self) -> dict[str, object]:
        """It as an assistant's message."""
        content = "".join(self._texts)
        message: dict[str, object] = {
            "role": "assistant",
            "content": content if content or not self._calls else None,
            "refusal": None,
        }
        if self._calls:
            message["tool_calls"] = self.calls()
        message["annotations"] = []
        return message

    @property
    def content(self) -> str:
        """Return what it says beside its calls."""
        return "".join(self._texts)

    def calls(self) -> list[dict[str, object]]:
        """Its calls, in their order."""
        return [_whole(parts) for _, parts in sorted(self._calls.items())]


def _whole(parts: Sequence[CallPart]) -> dict[str, object]:
    arguments = "".join(part.arguments for part in parts)
    first = parts[0]
    function = {"name": first.name, "arguments": arguments}
    return {"id": first.id, "type": "function", "function": function}
