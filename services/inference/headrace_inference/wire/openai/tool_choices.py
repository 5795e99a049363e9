"""Finds the tools that an answer may call, and whether it has to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from headrace_inference.wire.openai.bodies import known, unsupported, wrong
from headrace_inference.wire.openai.chat_body import ChatBody, Function, Schema, Tool

_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")
MAX_TOOLS = 128


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """The tools that the model is shown, and what it does with them."""

    tools: Sequence[Function] = ()
    must: bool = False
    """Whether it has to call one of them."""
    several: bool = True
    """Whether it may make more than one call."""
    is_named: bool = False
    """Whether the request names the one that is called: the answer does not end for calling it, then."""

    def shown(self) -> list[Mapping[str, object]]:
        """They as a chat template takes them."""
        return [_shown(tool) for tool in self.tools]


def _shown(tool: Function) -> Mapping[str, object]:
    found: dict[str, object] = {"name": tool.name}
    if tool.description is not None:
        found["description"] = tool.description
    found["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    return found


class _Named(msgspec.Struct, frozen=True):
    name: str


class _ChosenTool(msgspec.Struct, frozen=True):
    function: _Named


class _Allowed(msgspec.Struct, frozen=True):
    mode: str
    tools: list[_ChosenTool]


class _Choice(msgspec.Struct, frozen=True):
    type: str
    function: _Named | None = None
    allowed_tools: _Allowed | None = None


def tool_choice_of(body: ChatBody) -> ToolChoice:
    """Read what a chat says of tools. Raises InvalidArgument."""
    if body.tools is None:
        if body.tool_choice not in (None, "none"):
            raise wrong("tool_choice", "'tool_choice' needs 'tools'")
        return ToolChoice()
    tools = [_function(f"tools[{place}]", tool) for place, tool in enumerate(body.tools)]
    if not 0 < len(tools) <= MAX_TOOLS:
        raise wrong("tools", f"'tools' has to have 1 to {MAX_TOOLS} tools, not {len(tools)}")
    several = body.parallel_tool_calls is not False
    choice = body.tool_choice
    if choice is None or isinstance(choice, str):
        return _by_word(choice or "auto", tools, several=several)
    return _by_object(choice, tools, several=several)


def _by_word(word: str, tools: Sequence[Function], *, several: bool) -> ToolChoice:
    if word not in ("none", "auto", "required"):
        raise wrong(
            "tool_choice",
            f"'tool_choice' is '{word[:40]}'; it has to be none, auto, required, or name a function",
        )
    if word == "none":
        return ToolChoice()
    return ToolChoice(tools, word == "required", several)


def _by_object(choice: Schema, tools: Sequence[Function], *, several: bool) -> ToolChoice:
    asked = known(_Choice, choice, "tool_choice.")
    if asked.type == "function" and asked.function is not None:
        tool = _tool_named(asked.function.name, tools)
        return ToolChoice([tool], must=True, several=False, is_named=True)
    if asked.type == "allowed_tools" and asked.allowed_tools is not None:
        allowed = asked.allowed_tools
        names = [tool.function.name for tool in allowed.tools]
        kept = [_tool_named(name, tools) for name in names]
        return _by_word(allowed.mode, kept or tools, several=several)
    raise wrong("tool_choice", "'tool_choice' has to name a function of 'tools', or allowed ones")


def _tool_named(name: str, tools: Sequence[Function]) -> Function:
    for tool in tools:
        if tool.name == name:
            return tool
    raise wrong("tool_choice", f"'tool_choice' names '{name[:64]}', which is none of 'tools'")


def _function(place: str, tool: Tool) -> Function:
    if tool.type != "function":
        raise unsupported(
            f"{place}.type", f"'{place}' is of type '{tool.type[:40]}'; functions alone are offered"
        )
    if tool.function is None:
        raise wrong(f"{place}.function", f"'{place}.function' is missing")
    if not _NAME.fullmatch(tool.function.name):
        raise wrong(
            f"{place}.function.name",
            f"'{place}.function.name' has to be 1 to 64 letters, digits, '_', '-' or '.'",
        )
    return tool.function
