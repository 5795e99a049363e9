"""Reads answers that may call, or must, in the form that their model was taught, and holds them to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headrace.language.chats.tool_reader import CallDelta, ToolAnswers
from headrace.language.chats.tool_reader import Part as TaughtPart
from headrace_inference.domain.generation.requests import Grammar, GrammarKind
from headrace_inference.wire.openai.answer_parts import AnswerReader, CallPart, Part
from headrace_inference.wire.openai.grammars import NamedGrammar


def taught_answer(answers: ToolAnswers) -> tuple[NamedGrammar, Callable[[], AnswerReader]]:
    """Return what holds calls to their schemas, from the first sign of one on, and what finds them."""
    grammar = Grammar(GrammarKind.LARK, answers.grammar)
    return NamedGrammar("tools", grammar), lambda: TaughtCallReader(answers)


class TaughtCallReader:
    """Reads an answer that says something, or calls."""

    def __init__(self, answers: ToolAnswers) -> None:
        self._reader = answers.new_reader()

    @property
    def has_calls(self) -> bool:
        """Tell whether there was a call so far."""
        return self._reader.has_calls

    def push(self, text: str) -> Sequence[Part]:
        """Read more of the text."""
        return [_part(part) for part in self._reader.push(text)]

    def finish(self) -> Sequence[Part]:
        """Return what was held back."""
        return [_part(part) for part in self._reader.finish()]


def _part(part: TaughtPart) -> Part:
    if isinstance(part, CallDelta):
        return CallPart(part.index, part.arguments, part.id, part.name)
    return part
