"""Conversations and tools of GenerationService, in the form that chat templates take: pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.errors import InvalidArgument
from headrace.inference.v1 import generation_service_pb2 as pb
from headrace.language.chats.tool_reader import ToolAnswers
from headrace_inference.domain.generation.model import ChatFormat, ChatMessage, Tool

ROLES = ("system", "developer", "user", "assistant", "tool")
MAX_TOOLS = 128
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """The tools that a model is told of, and whether it has to call one."""

    tools: Sequence[Tool] = ()
    must: bool = False


def tool_choice_of(chat: pb.Chat) -> ToolChoice:
    """Read what a conversation says of its tools. Raises InvalidArgument."""
    if len(chat.tools) > MAX_TOOLS:
        raise _wrong("tools", f"at most {MAX_TOOLS} tools are offered, not {len(chat.tools)}")
    tools, choice = [_tool(tool) for tool in chat.tools], chat.tool_choice or "auto"
    if choice in ("auto", "none"):
        return ToolChoice(tools if choice == "auto" else ())
    if choice != "required":
        tools = [tool for tool in tools if tool["name"] == choice]
    if not tools:
        raise _wrong(
            "tool_choice",
            f"'tool_choice' is '{choice[:64]}', and there is no such tool: it is auto, none, required, or "
            "the name of one of the tools",
        )
    return ToolChoice(tools, must=True)


def tool_answers_of(form: ChatFormat, chat: pb.Chat) -> ToolAnswers | None:
    """Return what holds an answer to calls and finds them; None where no tool may be called."""
    choice = tool_choice_of(chat)
    if not choice.tools:
        return None
    return form.tool_answers(choice.tools, must=choice.must, several=not chat.single_call)


def check_turns(chat: pb.Chat) -> None:
    """Raises InvalidArgument for a conversation without messages, or with an unknown role."""
    if not chat.messages:
        raise InvalidArgument("PROMPT_MISSING", "the conversation has no messages: send one")
    for place, message in enumerate(chat.messages):
        if message.role not in ROLES:
            raise InvalidArgument(
                "PARAMETER_INVALID",
                f"the role of messages[{place}] must be one of {', '.join(ROLES)}, not "
                f"'{message.role[:40]}'",
                facts={"parameter": f"messages[{place}].role"},
            )


def message_of(message: pb.ChatMessage) -> ChatMessage:
    """A turn in OpenAI's form."""
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in message.tool_calls
    ]
    fields: dict[str, Any] = {"role": message.role, "content": message.content}
    optional = {
        "tool_calls": calls,
        "tool_call_id": message.tool_call_id,
        "name": message.name,
    }
    return fields | {name: value for name, value in optional.items() if value}


def _tool(tool: pb.Tool) -> Tool:
    if not _TOOL_NAME.fullmatch(tool.name):
        raise _wrong(
            "tools",
            f"'{tool.name[:64]}' is not a valid name of a tool: 1 to 64 letters, digits, '_', '.' and '-'",
        )
    parameters = json_object(tool.parameters, f"the parameters of the tool '{tool.name[:64]}'")
    return {"name": tool.name, "description": tool.description, "parameters": parameters}


def json_object(text: str, what: str) -> Mapping[str, Any]:
    """The object that a text is as JSON; an empty one for ''. Raises InvalidArgument."""
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgument("PARAMETER_INVALID", f"{what} must be JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidArgument("PARAMETER_INVALID", f"{what} must be a JSON object")
    return found


def _wrong(parameter: str, said: str) -> InvalidArgument:
    return InvalidArgument("PARAMETER_INVALID", said, facts={"parameter": parameter})
