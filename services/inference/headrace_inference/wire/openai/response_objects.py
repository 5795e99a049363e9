"""The objects of a response: itself, and the items of its output."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from uuid import uuid4

from headrace.errors import HeadraceError
from headrace_inference.domain.generation.requests import FinishReason, Usage
from headrace_inference.wire.openai.answer_parts import CallPart
from headrace_inference.wire.openai.bodies import Members

_ECHOED = (
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "reasoning",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "truncation",
)
_DEFAULTS: Members = {
    "instructions": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "truncation": "disabled",
}


@dataclass(slots=True)
class MessageItem:
    """An item of the output: what the assistant says."""

    id: str = field(default_factory=lambda: f"msg_{uuid4().hex}")
    text: str = ""
    is_done: bool = False

    def part(self) -> dict[str, object]:
        """Its one part."""
        return {"type": "output_text", "text": self.text, "annotations": []}

    def members(self) -> dict[str, object]:
        """It as an object; it has no part before anything was said."""
        return {
            "id": self.id,
            "type": "message",
            "status": "completed" if self.is_done else "in_progress",
            "role": "assistant",
            "content": [self.part()] if self.is_done else [],
        }


@dataclass(slots=True)
class CallItem:
    """A call."""

    call_id: str
    name: str
    id: str = field(default_factory=lambda: f"fc_{uuid4().hex}")
    arguments: str = ""
    is_done: bool = False

    def members(self) -> dict[str, object]:
        """It as an object."""
        return {
            "id": self.id,
            "type": "function_call",
            "status": "completed" if self.is_done else "in_progress",
            "call_id": self.call_id,
            "name": self.name,
            "arguments": self.arguments,
        }


OutputItem = MessageItem | CallItem


def new_item(part: str | CallPart) -> OutputItem:
    """The item that begins with this part."""
    return MessageItem() if isinstance(part, str) else CallItem(part.id, part.name)


class ResponseObject:
    """A response, from its beginning to its end."""

    def __init__(self, members: Members) -> None:
        self.output: list[OutputItem] = []
        self.finish: FinishReason | None = None
        self.usage: Usage | None = None
        self.error: HeadraceError | None = None
        told = {name: members[name] for name in _ECHOED if name in members}
        self._fixed: dict[str, object] = {
            "id": f"resp_{uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "model": members["model"],
            "background": False,
            "previous_response_id": None,
            "store": False,
            **_DEFAULTS,
            **told,
        }

    @property
    def status(self) -> str:
        """Where it stands."""
        if self.error is not None:
            return "failed"
        if self.usage is None:
            return "in_progress"
        return "incomplete" if self.finish is FinishReason.LENGTH else "completed"

    def members(self) -> dict[str, object]:
        """It as an object."""
        status = self.status
        is_cut = status == "incomplete"
        error = self.error
        return {
            **self._fixed,
            "status": status,
            "error": None
            if error is None
            else {"code": error.reason.lower(), "message": error.message},
            "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
            "output": [item.members() for item in self.output],
            "usage": None if self.usage is None else _usage(self.usage),
        }


def _usage(usage: Usage) -> dict[str, object]:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
