"""Finds calls of tools in an answer, as its text comes."""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from headrace.language.chats.messages import SHORT_ID
from headrace.language.chats.tool_forms import ToolForm

_LETTERS = string.ascii_letters + string.digits
_SPACE = " \t\r\n"
_NAME = re.compile(
    r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)'
)
_LONGEST_HEAD = 512
"""Characters up to a call's arguments; what is longer is read once it is whole."""


@dataclass(frozen=True, slots=True)
class CallDelta:
    """A piece of a call: its id and the function's name come once, first; then its arguments."""

    index: int
    arguments: str = ""
    id: str = ""
    name: str = ""


Part = str | CallDelta


class ToolCallReader:
    """Takes the text of one answer apart: words, and calls.

    A call is given out as it comes. What looks like one and is none is given out as words.
    """

    def __init__(self, form: ToolForm) -> None:
        self._form = form
        self._held = ""
        self._calls = 0
        self._step: Callable[[], Iterator[Part]] = (
            self._words if form.is_begun and form.begin else self._first
        )
        self._scan = _ValueScan()
        self._is_list_open = False
        self._is_quiet = False
        """After a call, until words follow: white space between calls is nobody's."""

    @property
    def has_calls(self) -> bool:
        """Tell whether there was a call so far."""
        return self._calls > 0

    def push(self, text: str) -> list[Part]:
        """Return what more of the text says; what may be the beginning of a call is held back."""
        self._held += text
        parts: list[Part] = []
        while True:
            step, held = self._step, self._held
            parts += self._step()
            if (step, held) == (self._step, self._held):
                return parts

    def finish(self) -> list[Part]:
        """Return what was held back: nothing more comes."""
        parts = self.push("")
        held, self._held = self._held, ""
        if self._step == self._arguments:
            return [*parts, CallDelta(self._calls - 1, held)] if held else parts
        if self._step in (self._call, self._first):
            return [*parts, *self._whole("" if self._is_cut(held) else held)]
        if self._step == self._between:
            held = "" if self._is_mere_mark(held) else held
        return [*parts, held] if held.strip() or (held and not self._is_quiet) else parts

    def _is_cut(self, held: str) -> bool:
        """Tell whether a call was begun and cut before its arguments: that is neither a call nor words."""
        is_marked = bool(self._form.begin) and self._form.is_begun
        return self._step == self._call and is_marked and _may_be_head(held) and not _is_json(held)

    def _first(self) -> Iterator[Part]:
        """Where a call is all of the answer: does it begin as one?"""
        begun = self._held.lstrip(_SPACE)
        mark = self._form.begin
        if mark and begun.startswith(mark):
            begun = begun[len(mark) :].lstrip(_SPACE)
        elif not begun or (mark and mark.startswith(begun)):
            return
        if not begun:
            return
        if begun.startswith("{"):
            self._held, self._step = begun, self._call
            return
        self._step = self._only_words
        yield from ()

    def _only_words(self) -> Iterator[Part]:
        held, self._held = self._held, ""
        if held:
            yield held

    def _words(self) -> Iterator[Part]:
        """Give out words up to the mark of a call."""
        mark = self._form.begin
        place = self._held.find(mark)
        if place >= 0:
            words = self._held[:place]
            self._held, self._step = self._held[place + len(mark) :], self._call
            self._is_list_open = False
        else:
            sure = len(self._held) - _beginning(self._held, mark)
            if self._is_quiet and not self._held[:sure].strip():
                return
            words, self._held = self._held[:sure], self._held[sure:]
        if words.strip() or (words and not self._is_quiet):
            self._is_quiet = False
            yield words

    def _call(self) -> Iterator[Part]:
        """Read a call up to its arguments."""
        if self._form.is_list and not self._is_list_open:
            held = self._held.lstrip(_SPACE)
            if not held:
                return
            if held.startswith("["):
                self._held, self._is_list_open = held[1:], True
        found = _NAME.match(self._held)
        if found is not None:
            self._held = self._held[found.end() :]
            self._step, self._scan = self._arguments, _ValueScan()
            yield self._begun(str(json.loads(found[1])))
        elif not _may_be_head(self._held) or self._is_past_head():
            self._step = self._unread

    def _is_past_head(self) -> bool:
        end = self._form.end
        return len(self._held) > _LONGEST_HEAD or bool(end and end in self._held)

    def _unread(self) -> Iterator[Part]:
        """Wait for all of a call that is not written as calls are."""
        end = self._form.end
        place = self._held.find(end) if end else -1
        if place < 0:
            return
        held, self._held = self._held[:place], self._held[place + len(end) :]
        self._step = self._words
        yield from self._whole(held)

    def _arguments(self) -> Iterator[Part]:
        """Give out arguments up to the brace that closes them."""
        size = self._scan.take(self._held)
        given, self._held = self._held[:size], self._held[size:]
        if given:
            yield CallDelta(self._calls - 1, given)
        if self._scan.is_over:
            self._step = self._between

    def _between(self) -> Iterator[Part]:
        """Pass over what closes a call, up to the next one or to words."""
        held = self._held.lstrip(_SPACE + "};")
        if self._form.is_list:
            held = held.lstrip(_SPACE + ",")
            if held.startswith("{"):
                self._held, self._step = held, self._call
                return
            if held.startswith("]"):
                self._held, self._step = held[1:], self._words
                return
        elif self._form.end:
            if held.startswith(self._form.end):
                self._held, self._step = held[len(self._form.end) :], self._words
                return
            if self._form.end.startswith(held):
                return
        elif held.startswith("{"):
            self._held, self._step = held, self._call
            return
        if held:
            self._held, self._step = held, self._words if self._form.is_begun else self._only_words
        yield from ()

    def _is_mere_mark(self, held: str) -> bool:
        held = held.lstrip(_SPACE + "};,]")
        return self._form.end.startswith(held)

    def _whole(self, text: str) -> Iterator[Part]:
        """A call that is read at once; words, if it is none."""
        try:
            read = json.loads(text.strip(_SPACE + ";"))
        except (ValueError, RecursionError):
            read = None
        for call in read if isinstance(read, list) else [read]:
            name = call.get("name") if isinstance(call, dict) else None
            if not isinstance(name, str):
                if text.strip():
                    yield text
                return
            given = call.get("arguments", call.get("parameters", {}))
            yield self._begun(name)
            yield CallDelta(
                self._calls - 1,
                given if isinstance(given, str) else json.dumps(given, ensure_ascii=False),
            )

    def _begun(self, name: str) -> CallDelta:
        self._calls += 1
        self._is_quiet = True
        return CallDelta(self._calls - 1, id=_new_id(self._form), name=name)


@dataclass(frozen=True, slots=True)
class ToolAnswers:
    """The grammar that holds an answer to calls of tools, and what reads them."""

    grammar: str
    """In Lark."""
    form: ToolForm

    @property
    def shows_control(self) -> bool:
        """Tell whether control tokens have to be in the answer's text for its calls to be found."""
        return self.form.shows_control

    def new_reader(self) -> ToolCallReader:
        """Return what reads one answer."""
        return ToolCallReader(self.form)


class _ValueScan:
    """Finds where a JSON object ends, over pieces of its text."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_text = False
        self._escaped = False
        self.is_over = False

    def take(self, text: str) -> int:
        """Return how much of the text belongs to the object."""
        for place, each in enumerate(text):
            if self._escaped:
                self._escaped = False
            elif self._in_text:
                self._escaped = each == "\\"
                self._in_text = each != '"'
            elif each == '"':
                self._in_text = True
            elif each in "{[":
                self._depth += 1
            elif each in "}]":
                self._depth -= 1
                if not self._depth:
                    self.is_over = True
                    return place + 1
        return len(text)


def _may_be_head(text: str) -> bool:
    """Tell whether a text may go on as the beginning of a call, up to its arguments."""
    tight = "".join(text.split())
    head = '{"name":"'
    return head.startswith(tight[: len(head)])


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _beginning(text: str, mark: str) -> int:
    """The length of the longest end of a text that the mark begins with."""
    longest = min(len(mark) - 1, len(text))
    return next((size for size in range(longest, 0, -1) if text.endswith(mark[:size])), 0)


def _new_id(form: ToolForm) -> str:
    letters = "".join(secrets.choice(_LETTERS) for _ in range(form.id_letters))
    return letters if form.id_letters == SHORT_ID else f"call_{letters}"
