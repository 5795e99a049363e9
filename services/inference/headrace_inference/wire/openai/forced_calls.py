"""Answers that have to be a call: the schema that they are held to, and reading them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from uuid import uuid4

from headrace_inference.domain.generation.requests import Grammar
from headrace_inference.wire.openai.answer_parts import AnswerReader, CallPart, Part
from headrace_inference.wire.openai.chat_body import Function, Schema
from headrace_inference.wire.openai.grammars import schema_grammar

_BEGINNING = re.compile(r'\s*\{\s*"name"\s*:\s*"([^"]*)"\s*,\s*"arguments"\s*:\s*')


def new_call_id() -> str:
    """An id for a call."""
    return f"call_{uuid4().hex[:24]}"


def forced_call(tools: Sequence[Function]) -> tuple[Grammar, Callable[[], AnswerReader]]:
    """The grammar of an answer that calls one of these, and what reads it.

    Of one tool the answer is the arguments alone; of several, an object with the name first.
    """
    if len(tools) == 1:
        name = tools[0].name
        return schema_grammar(_arguments(tools[0])), lambda: ArgumentsReader(name)
    schema: Schema = {"anyOf": [_named(tool) for tool in tools]}
    definitions: Schema = {}
    for tool in tools:
        for key in ("$defs", "definitions"):
            inner = _arguments(tool).get(key)
            if isinstance(inner, dict):
                definitions.setdefault(key, {})
                merged = definitions[key]
                assert isinstance(merged, dict)
                merged.update(inner)
    return schema_grammar({**definitions, **schema}), NamedCallReader


def _arguments(tool: Function) -> Schema:
    return tool.parameters or {"type": "object", "properties": {}, "additionalProperties": False}


def _named(tool: Function) -> Schema:
    return {
        "type": "object",
        "properties": {"name": {"const": tool.name}, "arguments": _arguments(tool)},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


class ArgumentsReader:
    """Reads an answer that is the arguments of one call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.has_calls = False

    def push(self, text: str) -> Sequence[Part]:
        """More of the arguments."""
        if not text:
            return ()
        parts: list[Part] = []
        if not self.has_calls:
            self.has_calls = True
            parts.append(CallPart(0, id=new_call_id(), name=self._name))
        parts.append(CallPart(0, text))
        return parts

    def finish(self) -> Sequence[Part]:
        """Nothing: nothing is held back."""
        return ()


class NamedCallReader:
    """Reads an answer that is an object with the name of a function and its arguments."""

    def __init__(self) -> None:
        self.has_calls = False
        self._held = ""

    def push(self, text: str) -> Sequence[Part]:
        """More of the arguments, once the name is there; the object's own last brace is held back."""
        self._held += text
        parts: list[Part] = []
        if not self.has_calls:
            begun = _BEGINNING.match(self._held)
            if begun is None:
                return ()
            self.has_calls = True
            self._held = self._held[begun.end() :]
            parts.append(CallPart(0, id=new_call_id(), name=begun[1]))
        sure = self._held.rstrip()[:-1]
        if sure:
            self._held = self._held[len(sure) :]
            parts.append(CallPart(0, sure))
        return parts

    def finish(self) -> Sequence[Part]:
        """What was held back of an answer that was cut."""
        held, self._held = self._held.strip(), ""
        if not self.has_calls or held in ("", "}"):
            return ()
        return (CallPart(0, held),)
