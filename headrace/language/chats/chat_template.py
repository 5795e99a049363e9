"""Writes conversations by a chat template, within bounds of time and memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.errors import HeadraceError, InvalidArgument
from headrace.language.chats.chat_files import ChatFiles
from headrace.language.chats.messages import MessageForm
from headrace.language.chats.template_budget import Budget, TemplateTooCostly, weight
from headrace.language.chats.template_sandbox import compile_template, render

RESERVED = frozenset({"messages", "tools", "add_generation_prompt"})
"""Variables that no caller sets by himself; nor those of control tokens."""

_SECONDS = 0.25
"""Of CPU, for a short conversation. Templates take 0.1 ms; collecting garbage may come between."""
_STEPS = 100_000
_CHARACTERS = 1 << 19
_STEPS_PER_ELEMENT = 4
_SECONDS_PER_ELEMENT = 2e-6
_COPIES = 32
"""As often as this a rendering may make anew what it is given."""
_MOST = 1 << 28

_CALL = {
    "id": "call00000",
    "type": "function",
    "function": {"name": "f", "arguments": {"x": 1}},
}
_PROBE = (
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": "", "tool_calls": [_CALL]},
    {"role": "tool", "content": "b", "tool_call_id": "call00000", "name": "f"},
)


class ChatTemplate:
    """A chat template that is compiled. Any thread may render it."""

    def __init__(self, files: ChatFiles) -> None:
        """Raises InvalidArgument (CHAT_TEMPLATE_INVALID), FailedPrecondition (LANGUAGE_EXTRA_MISSING)."""
        self._tokens = dict(files.tokens)
        self._default = _compiled(files.default)
        self._with_tools = _compiled(files.with_tools) if files.with_tools else self._default
        self.text = "\n".join(filter(None, (files.default, files.with_tools)))
        self.knows_tools = "tools" in (files.with_tools or files.default)
        """Whether it writes the functions that a model may call."""
        self.form = self._form()

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] = (),
        *,
        adds_prompt: bool = True,
        variables: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the conversation's text. Raises InvalidArgument (CHAT_TEMPLATE_FAILED)."""
        taken = (variables or {}).keys() & (RESERVED | self._tokens.keys())
        if taken:
            raise InvalidArgument(
                "PARAMETER_INVALID",
                f"chat_template_kwargs sets {min(taken)!r}, which the request itself does; leave it out",
            )
        given = {**(variables or {}), **self._given(messages, tools, adds_prompt=adds_prompt)}
        return _rendered(self._with_tools if tools else self._default, given)

    def _given(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]],
        *,
        adds_prompt: bool = True,
    ) -> dict[str, Any]:
        return {
            **self._tokens,
            "messages": list(messages),
            "tools": list(tools) or None,
            "add_generation_prompt": adds_prompt,
        }

    def _form(self) -> MessageForm:
        parts = [{**one, "content": [{"type": "text", "text": "abc"}]} for one in _PROBE[:1]]
        whole = [{**one, "content": "abc"} for one in _PROBE[:1]]
        return MessageForm(
            as_parts=not self._says("abc", whole) and self._says("abc", parts),
            arguments_as_text=self.knows_tools
            and not self._takes(_PROBE)
            and self._takes(_AS_TEXT),
            knows_developer="developer" in self.text,
            knows_system=self._takes([{"role": "system", "content": "a"}, *_PROBE[:1]]),
        )

    def _takes(self, messages: Sequence[Mapping[str, Any]]) -> bool:
        return self._tried(messages) is not None

    def _says(self, text: str, messages: Sequence[Mapping[str, Any]]) -> bool:
        return text in (self._tried(messages) or "")

    def _tried(self, messages: Sequence[Mapping[str, Any]]) -> str | None:
        """The text of a short conversation, None where the template refuses it."""
        try:
            return render(self._with_tools, self._given(messages, ()), _budget(0))
        except TemplateTooCostly as error:
            raise _invalid(f"{error}, for a single word") from None
        except Exception:  # noqa: BLE001  a stranger's program: what it raises is its own
            return None


def _as_text(message: Mapping[str, Any]) -> Mapping[str, Any]:
    call = {**_CALL, "function": {"name": "f", "arguments": '{"x": 1}'}}
    return {**message, "tool_calls": [call]} if "tool_calls" in message else message


_AS_TEXT = tuple(_as_text(message) for message in _PROBE)


def _compiled(text: str) -> Any:
    try:
        return compile_template(text, _budget(0))
    except TemplateTooCostly as error:
        raise _invalid(str(error)) from None
    except HeadraceError:
        raise
    except Exception as error:  # noqa: BLE001  a stranger's program: what it raises is its own
        raise _invalid(f"{type(error).__name__}: {error}") from None


def _rendered(template: Any, given: Mapping[str, Any]) -> str:
    try:
        return render(template, given, _budget(weight(dict(given), _MOST)))
    except TemplateTooCostly as error:
        raise _failed(f"{error} for what it is given") from None
    except Exception as error:  # noqa: BLE001  a stranger's program: what it raises is its own
        raise _failed(str(error) or type(error).__name__) from None


def _budget(elements: int) -> Budget:
    return Budget(
        _STEPS + _STEPS_PER_ELEMENT * elements,
        _CHARACTERS + _COPIES * elements,
        _SECONDS + _SECONDS_PER_ELEMENT * elements,
    )


def _invalid(why: str) -> InvalidArgument:
    return InvalidArgument(
        "CHAT_TEMPLATE_INVALID", f"the chat template is no template that can be run: {why[:500]}"
    )


def _failed(why: str) -> InvalidArgument:
    return InvalidArgument(
        "CHAT_TEMPLATE_FAILED",
        f"the model's chat template does not take these messages: {why[:500]}",
    )
