"""The body of a response, OpenAI's newer form of a chat, as the members of a chat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from headrace_inference.wire.openai.bodies import Members, known, unsupported, wrong
from headrace_inference.wire.openai.chat_body import Schema

_REFUSED: Mapping[str, tuple[object, ...]] = {
    "previous_response_id": (),
    "conversation": (),
    "background": (False,),
    "prompt": (),
    "n": (1,),
    "top_logprobs": (0,),
    "logprobs": (False,),
    "echo": (False,),
    "prompt_logprobs": (),
}
_HINTS: Mapping[str, str] = {
    "previous_response_id": ": nothing is kept here; send the whole conversation as 'input'",
    "conversation": ": nothing is kept here; send the whole conversation as 'input'",
}

RENAMED: Mapping[str, str] = {
    "max_completion_tokens": "max_output_tokens",
    "messages": "input",
    "response_format": "text.format",
}
"""What the members of the chat are called in a response."""

_SCORES = "message.output_text.logprobs"
_OF_A_CHAT = frozenset(("messages", "max_tokens", "max_completion_tokens", "response_format"))


class Format(msgspec.Struct, frozen=True):
    """The form of the answer."""

    type: str
    name: str | None = None
    schema: Schema | None = None
    strict: bool | None = None


class TextOptions(msgspec.Struct, frozen=True):
    """Options of its text."""

    format: Format | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """Options of the model's thinking."""

    effort: str | None = None


class FlatTool(msgspec.Struct, frozen=True):
    """A tool, without the object that chats have around the function."""

    type: str
    name: str | None = None
    description: str | None = None
    parameters: Schema | None = None
    strict: bool | None = None


class Item(msgspec.Struct, frozen=True):
    """A message, a call, or what a call gave."""

    type: str = "message"
    role: str | None = None
    content: object = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: object = None


class ResponsesBody(msgspec.Struct, frozen=True):
    """The members of a body beside those of a chat."""

    input: str | list[Item]
    instructions: str | None = None
    max_output_tokens: object = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    tools: list[FlatTool] | None = None
    tool_choice: str | Schema | None = None
    include: list[str] | None = None


def chat_members(members: Members) -> Members:
    """The chat that a response asks for. Raises InvalidArgument."""
    for name, harmless in _REFUSED.items():
        value = members.get(name)
        if value is not None and value not in harmless:
            raise unsupported(name, f"'{name}' is not offered here{_HINTS.get(name, '')}")
    body = known(ResponsesBody, members)
    if _SCORES in (body.include or ()):
        raise unsupported("include", f"'{_SCORES}' is not offered here; chats have 'logprobs'")
    found: dict[str, object] = {
        name: value
        for name, value in members.items()
        if name not in _OF_A_CHAT and name not in ResponsesBody.__struct_fields__
    }
    found["messages"] = list(_messages(body))
    if body.max_output_tokens is not None:
        found["max_completion_tokens"] = body.max_output_tokens
    if body.text is not None and body.text.format is not None:
        found["response_format"] = _format(body.text.format)
    if body.reasoning is not None and body.reasoning.effort is not None:
        found["reasoning_effort"] = body.reasoning.effort
    if body.tools:
        found["tools"] = [_tool(place, tool) for place, tool in enumerate(body.tools)]
        found["tool_choice"] = _choice(body.tool_choice)
    return found


def _messages(body: ResponsesBody) -> Iterator[dict[str, object]]:
    if body.instructions is not None:
        yield {"role": "system", "content": body.instructions}
    if isinstance(body.input, str):
        yield {"role": "user", "content": body.input}
        return
    if not body.input:
        raise wrong("input", "'input' is an empty list; it has to have at least one item")
    yield from _joined(body.input)


def _joined(items: list[Item]) -> Iterator[dict[str, object]]:
    """A message for each item; calls that follow one another are one message's."""
    calls: list[object] = []
    for place, item in enumerate(items):
        if item.type == "function_call":
            calls.append(_call(place, item))
            continue
        if calls:
            yield {"role": "assistant", "content": None, "tool_calls": calls}
            calls = []
        if item.type == "message":
            yield _message(place, item)
        elif item.type == "function_call_output":
            yield _output(place, item)
        elif item.type != "reasoning":  # what a model thought is not told to it again
            raise unsupported(
                f"input[{place}].type", f"items of type '{item.type[:40]}' are not offered here"
            )
    if calls:
        yield {"role": "assistant", "content": None, "tool_calls": calls}


def _message(place: int, item: Item) -> dict[str, object]:
    if item.role is None:
        raise wrong(f"input[{place}].role", f"'input[{place}].role' is missing")
    content = item.content
    if isinstance(content, list):
        content = [_part(part) for part in content]
    return {"role": item.role, "content": content}


def _part(part: object) -> object:
    """A part of a message as chats call it."""
    if isinstance(part, dict) and part.get("type") in ("input_text", "output_text"):
        return {"type": "text", "text": part.get("text")}
    return part


def _call(place: int, item: Item) -> dict[str, object]:
    if item.name is None or item.arguments is None or item.call_id is None:
        raise wrong(f"input[{place}]", "a function_call has 'call_id', 'name' and 'arguments'")
    function = {"name": item.name, "arguments": item.arguments}
    return {"id": item.call_id, "type": "function", "function": function}


def _output(place: int, item: Item) -> dict[str, object]:
    if item.call_id is None or item.output is None:
        raise wrong(f"input[{place}]", "a function_call_output has 'call_id' and 'output'")
    return {"role": "tool", "content": item.output, "tool_call_id": item.call_id}


def _format(wanted: Format) -> dict[str, object]:
    if wanted.type != "json_schema":
        return {"type": wanted.type}
    return {"type": wanted.type, "json_schema": {"name": wanted.name, "schema": wanted.schema}}


def _tool(place: int, tool: FlatTool) -> dict[str, object]:
    if tool.type != "function":
        raise unsupported(
            f"tools[{place}].type",
            f"tools of type '{tool.type[:40]}' are not offered here; functions are",
        )
    if tool.name is None:
        raise wrong(f"tools[{place}].name", f"'tools[{place}].name' is missing")
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    return {"type": "function", "function": function}


def _choice(choice: str | Schema | None) -> object:
    """The choice of a chat, which has the function's name in an object of its own."""
    if isinstance(choice, dict) and choice.get("type") == "function":
        return {"type": "function", "function": {"name": choice.get("name")}}
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        named = choice.get("tools")
        tools = [
            {"function": {"name": tool.get("name")}}
            for tool in (named if isinstance(named, list) else ())
            if isinstance(tool, dict)
        ]
        return {
            "type": "allowed_tools",
            "allowed_tools": {"mode": choice.get("mode", "auto"), "tools": tools},
        }
    return choice
