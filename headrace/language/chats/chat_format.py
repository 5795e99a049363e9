"""Writes conversations as tokens, in the form that a model was taught."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from headrace.errors import InvalidArgument
from headrace.language.chats.chat_files import find_chat_files
from headrace.language.chats.chat_template import ChatTemplate
from headrace.language.chats.messages import SHORT_ID, fit_messages, with_instructions
from headrace.language.chats.tool_forms import PLAIN_FORM, Tool, plain_instructions, tool_form
from headrace.language.chats.tool_reader import ToolAnswers
from headrace.language.tokenizer import TextTokenizer, refuse_broken

Message = Mapping[str, Any]

_PRIVATE = range(0xE000, 0xF8FF)
"""Characters that nobody means anything by: two of them mark control tokens that people wrote."""


class TemplateChatFormat:
    """A model's chat template with its tokenizer. Any thread may ask it."""

    def __init__(self, template: ChatTemplate, tokenizer: TextTokenizer) -> None:
        self.template = template
        self._tokenizer = tokenizer
        taught = tool_form(template.text, tokenizer) if template.knows_tools else None
        self.tool_form = taught or PLAIN_FORM
        """The form in which the model calls tools: that of its template, or one that it is told of."""
        self._is_taught = taught is not None
        short_ids = self.tool_form.id_letters == SHORT_ID
        self._form = replace(template.form, knows_tools=self._is_taught, short_ids=short_ids)

    def prompt(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool] = (),
        *,
        continues_last: bool = False,
        variables: Mapping[str, Any] | None = None,
    ) -> list[int]:
        """Write a conversation as tokens, up to where the assistant's answer begins, or goes on.

        Control tokens in what people wrote are plain text; all else has the tokens that the whole text has.
        Raises InvalidArgument (CHAT_TEMPLATE_FAILED, CONTENT_UNSUPPORTED, TEXT_INVALID, PARAMETER_INVALID).
        """
        try:
            fitted, functions = self._fitted(messages, tools)
            marks = _Marks(self._tokenizer, (fitted, functions, variables or {}))
            text = self._text(
                marks.put(fitted),
                marks.put(functions),
                marks.put(variables or {}),
                continues_last=continues_last,
            )
        except RecursionError:
            raise InvalidArgument(
                "CHAT_TEMPLATE_FAILED", "messages, tools or variables are nested too deeply"
            ) from None
        return marks.encode(text)

    def tool_answers(self, tools: Sequence[Tool], *, must: bool, several: bool) -> ToolAnswers:
        """Return what holds an answer to calls of these, which it must make or may, and what reads them.

        Raises InvalidArgument (GRAMMAR_INVALID).
        """
        form = self.tool_form
        grammar = form.forced if must else form.free
        try:
            return ToolAnswers(grammar(tools, several=several), form)
        except RecursionError:
            raise InvalidArgument(
                "GRAMMAR_INVALID", "the parameters of a tool are nested too deeply"
            ) from None

    def _fitted(
        self, messages: Sequence[Message], tools: Sequence[Tool]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The messages and functions as the template takes them.

        Only then is looked for control tokens: a call's arguments may have them in JSON's escapes, and the
        parts of a content may have a half each.
        """
        fitted = fit_messages(messages, self._form)
        if tools and not self._is_taught:
            return with_instructions(fitted, plain_instructions(tools), self._form), []
        return fitted, [{"type": "function", "function": tool} for tool in tools]

    def _text(
        self,
        messages: list[dict[str, Any]],
        functions: list[dict[str, Any]],
        variables: Mapping[str, Any],
        *,
        continues_last: bool,
    ) -> str:
        if not continues_last:
            return self.template.render(messages, functions, variables=variables)
        text = self.template.render(messages, functions, adds_prompt=False, variables=variables)
        return _open_end(text, messages[-1] if messages else {})


def open_chat_format(folder: Path, tokenizer: TextTokenizer) -> TemplateChatFormat | None:
    """Return the chat format of a model's folder, None where it has no template.

    Raises InvalidArgument (LANGUAGE_FILES_INVALID, CHAT_TEMPLATE_INVALID).
    """
    files = find_chat_files(folder)
    return None if files is None else TemplateChatFormat(ChatTemplate(files), tokenizer)


def _open_end(text: str, last: Message) -> str:
    """The text up to the end of the last message, which the answer goes on from."""
    content = last.get("content") or ""
    if not isinstance(content, str):
        content = "".join(part["text"] for part in content)
    content = content.strip()
    place = text.rfind(content)
    if not content or place < 0:
        raise InvalidArgument(
            "CHAT_TEMPLATE_FAILED",
            "the answer cannot go on from the last message: it is empty, or the chat template changes it",
        )
    return text[: place + len(content)]


class _Marks:
    """Marks control tokens in what people wrote, and encodes what is marked as plain text.

    Most conversations have none: nothing is marked, and the text is encoded as it is.
    """

    def __init__(self, tokenizer: TextTokenizer, values: Any) -> None:
        self._tokenizer = tokenizer
        hostile = False
        used: set[str] = set()
        for text in _texts(values):
            refuse_broken(text)
            hostile = hostile or self._may_write_control(text)
            if not text.isascii():
                used.update(each for each in text if ord(each) in _PRIVATE)
        free = (chr(code) for code in _PRIVATE if chr(code) not in used)
        self._pair = (next(free), next(free)) if hostile else None

    def _may_write_control(self, text: str) -> bool:
        """Tell whether a control token is written in a text, or is once a template changes its case."""
        control = self._tokenizer.control
        return self._tokenizer.writes_control(text) or (
            control.occur_in(text.lower()) or control.occur_in(text.upper())
        )

    def put(self, values: Any) -> Any:
        """Return the values with marks around each control token."""
        return values if self._pair is None else _mapped(values, self._marked)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text: control tokens of the template, and plain text within marks."""
        if self._pair is None:
            return self._encode(text, control=True)
        tokens = []
        for part, is_marked in self._parts(text):
            tokens += self._encode(part, control=not is_marked)
        return tokens

    def _marked(self, text: str) -> str:
        assert self._pair is not None
        begin, end = self._pair
        if not self._tokenizer.control.occur_in(text):
            return f"{begin}{text}{end}" if self._may_write_control(text) else text
        parts = self._tokenizer.control.split(text)
        return "".join(f"{begin}{part}{end}" if is_control else part for part, is_control in parts)

    def _parts(self, text: str) -> Iterator[tuple[str, bool]]:
        """The text in parts, and of each whether it was within marks; a template may have lost some."""
        assert self._pair is not None
        for mark in self._pair:
            text = text.replace(f"\\u{ord(mark):04x}", mark)  # JSON that is written in ASCII
        begin, end = self._pair
        first, *pieces = text.split(begin)
        yield first.replace(end, ""), False
        for piece in pieces:
            inner, is_closed, outer = piece.partition(end)
            if not is_closed:
                inner, outer = self._first_control(piece)
            yield inner, True
            yield outer.replace(end, ""), False

    def _first_control(self, piece: str) -> tuple[str, str]:
        """A control token that the piece begins with, and the rest."""
        part, is_control = next(self._tokenizer.control.split(piece), ("", False))
        return (part, piece[len(part) :]) if is_control else ("", piece)

    def _encode(self, text: str, *, control: bool) -> list[int]:
        if not text:
            return []
        return self._tokenizer.encode(text, add_special_tokens=False, parse_special=control)


def _texts(value: Any) -> Iterator[str]:
    """All texts within a value, keys as well."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            waiting.extend(one.keys())
            waiting.extend(one.values())
        elif isinstance(one, list | tuple):
            waiting.extend(one)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {_mapped(key, change): _mapped(one, change) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_mapped(one, change) for one in value)
    return value
