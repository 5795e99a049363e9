"""Makes messages in OpenAI's form such that a chat template can write them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headrace.errors import InvalidArgument

Message = Mapping[str, Any]

SHORT_ID = 9
"""Letters and digits of a call's id, for templates that take no others."""

_TEXT_PARTS = ("text", "input_text", "output_text")


@dataclass(frozen=True, slots=True)
class MessageForm:
    """The form of messages that a template takes."""

    as_parts: bool = False
    """It goes through the parts of a content, and takes no text in their place."""
    arguments_as_text: bool = False
    """It takes a call's arguments as JSON; most take an object."""
    knows_developer: bool = False
    """It knows the role `developer`; others call that the system."""
    knows_system: bool = True
    """It takes a system's message."""
    short_ids: bool = False
    """It takes ids of calls that have nine letters and digits, and no others."""
    knows_tools: bool = True
    """It writes calls of tools and their results; for others they become words of the two who speak."""


def fit_messages(messages: Sequence[Message], form: MessageForm) -> list[dict[str, Any]]:
    """Return the messages in a template's form. Raises InvalidArgument (CONTENT_UNSUPPORTED)."""
    names = _called(messages)
    fitted = [_fit(message, place, form, names) for place, message in enumerate(messages)]
    return fitted if form.knows_tools else _spoken(fitted, form)


def with_instructions(
    messages: Sequence[dict[str, Any]], text: str, form: MessageForm
) -> list[dict[str, Any]]:
    """Return fitted messages with instructions behind the system's, or before the first of all others."""
    first = messages[0] if messages else {}
    if first.get("role") == "system":
        return [
            {**first, "content": _fitted(f"{_text(first['content'], 0)}\n\n{text}", form)},
            *messages[1:],
        ]
    if form.knows_system or not messages:
        return [{"role": "system", "content": _fitted(text, form)}, *messages]
    return [
        {**first, "content": _fitted(f"{text}\n\n{_text(first['content'], 0)}", form)},
        *messages[1:],
    ]


def _fit(
    message: Message, place: int, form: MessageForm, names: Mapping[str, str]
) -> dict[str, Any]:
    role = message.get("role")
    made = {key: value for key, value in message.items() if value is not None}
    made["content"] = _fitted(_text(message.get("content"), place), form)
    if role == "developer" and not form.knows_developer:
        made["role"] = "system"
    calls = message.get("tool_calls")
    made.pop("tool_calls", None)
    if isinstance(calls, list) and calls:
        made["tool_calls"] = [_fit_call(call, form) for call in calls]
    answered = message.get("tool_call_id")
    if role == "tool" and isinstance(answered, str):
        if answered in names:
            made.setdefault("name", names[answered])
        made["tool_call_id"] = _fit_id(answered, form)
    return made


def _fitted(text: str, form: MessageForm) -> Any:
    return [{"type": "text", "text": text}] if form.as_parts else text


def _text(content: object, place: int) -> str:
    """A content as one text; its parts one after the other."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list | tuple) else [content]
    return "".join(_part(part, place, number) for number, part in enumerate(parts))


def _part(part: object, place: int, number: int) -> str:
    kind = part.get("type", "text") if isinstance(part, Mapping) else type(part).__name__
    if isinstance(part, Mapping):
        text = part.get("refusal" if kind == "refusal" else "text")
        if (kind in _TEXT_PARTS or kind == "refusal") and isinstance(text, str):
            return text
    raise InvalidArgument(
        "CONTENT_UNSUPPORTED",
        f"messages[{place}].content[{number}] is of the type {str(kind)[:60]!r}, and this model takes text "
        "alone: send parts of the type 'text'",
    )


def _fit_call(call: Any, form: MessageForm) -> Any:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        return call
    arguments = function.get("arguments")
    if form.arguments_as_text:
        arguments = arguments if isinstance(arguments, str) else json.dumps(arguments)
    elif isinstance(arguments, str):
        arguments = _object(arguments)
    fitted = {**call, "function": {**function, "arguments": arguments}}
    if isinstance(call.get("id"), str):
        fitted["id"] = _fit_id(call["id"], form)
    return fitted


def _fit_id(name: str, form: MessageForm) -> str:
    """A call's id, or the same other one for it each time, where the template takes short ones alone."""
    if not form.short_ids or (len(name) == SHORT_ID and name.isascii() and name.isalnum()):
        return name
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:SHORT_ID]


def _object(text: str) -> Any:
    """The arguments of a call, which come as a text; as they are, where that is no JSON."""
    try:
        return json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return text


def _called(messages: Iterable[Message]) -> dict[str, str]:
    """The names of the functions that were called, by the calls' ids."""
    calls = (call for message in messages for call in message.get("tool_calls") or ())
    return {
        str(call.get("id")): str(call["function"].get("name"))
        for call in calls
        if isinstance(call, Mapping) and isinstance(call.get("function"), Mapping)
    }


def _spoken(messages: Iterable[dict[str, Any]], form: MessageForm) -> list[dict[str, Any]]:
    """Calls as words of the assistant, results as words of the user, as Hermes' models write them."""
    made: list[dict[str, Any]] = []
    after_result = False
    for message in messages:
        calls = message.pop("tool_calls", None)
        content = _text(message.get("content"), 0)
        is_result = message.get("role") in ("tool", "function")
        if calls:
            written = [_spoken_call(call) for call in calls]
            content = "\n".join([content, *written] if content else written)
        elif is_result:
            content = f"<tool_response>\n{content}\n</tool_response>"
            message = {"role": "user"}
        if is_result and after_result:
            content = f"{_text(made.pop()['content'], 0)}\n{content}"
        made.append({**message, "content": _fitted(content, form)})
        after_result = is_result
    return made


def _spoken_call(call: Mapping[str, Any]) -> str:
    function = call.get("function", {})
    written = json.dumps(
        {"name": function.get("name"), "arguments": function.get("arguments")}, ensure_ascii=False
    )
    return f"<tool_call>\n{written}\n</tool_call>"
