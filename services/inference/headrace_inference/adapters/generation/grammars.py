"""Holds answers to grammars, by llguidance."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from headrace.errors import InvalidArgument
from headrace.language.extra import language_library
from headrace.language.json_schemas import SEPARATORS, closed
from headrace.language.tokenizer import TextTokenizer
from headrace_inference.adapters.generation.deep_stack import on_deep_stack
from headrace_inference.domain.generation.grammars import GrammarState
from headrace_inference.domain.generation.requests import Grammar, GrammarKind

MAX_GRAMMAR_CHARACTERS = 256 << 10
"""Of a schema, regular expression or grammar as it was sent."""
KEPT_GRAMMARS = 64
"""Compiled ones, of 10 KB and more each: those that were asked for last."""

_LIMITS = {
    "initial_lexer_fuel": 500_000,  # 10 ms
    "step_lexer_fuel": 100_000,  # 7 ms
    "step_max_items": 20_000,  # 1 ms
    "max_lexer_states": 50_000,  # 50 to 100 MB
    "max_grammar_size": 200_000,
    "verbose_errors": False,
}


class LlguidanceGrammars:
    """Compiles grammars for a vocabulary, once each. Whoever opens one closes it.

    What llguidance needs of the vocabulary (35 MB for 49,152 tokens) is made for the first grammar.
    """

    def __init__(
        self, tokenizer: TextTokenizer, vocabulary: int, end_tokens: Iterable[int]
    ) -> None:
        """Take the width of the logits and the tokens that end an answer."""
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._end_tokens = sorted(end_tokens)
        self._compiled: OrderedDict[Grammar, Any] = OrderedDict()
        self._mutex = threading.Lock()
        self._opening = threading.Lock()
        self._opened: Any = None
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="grammar-masks")

    def close(self) -> None:
        """End the thread that looks ahead."""
        self._ahead.shutdown(cancel_futures=True)

    def check(self, grammar: Grammar) -> None:
        """Raise InvalidArgument (GRAMMAR_INVALID) for what answers cannot be held to."""
        self._matcher(grammar)

    def begin(self, grammar: Grammar) -> MatcherState:
        """Return the start of an answer. Raises InvalidArgument (GRAMMAR_INVALID)."""
        return MatcherState(self._matcher(grammar).deep_copy(), self._vocabulary)

    def look_ahead(self, states: Sequence[GrammarState]) -> None:
        """Fill the masks of these on another thread, which leaves the interpreter's lock meanwhile."""
        waiting = [one for one in states if isinstance(one, MatcherState) and one.lacks_mask]
        if waiting:
            task = self._ahead.submit(_fill_all, waiting)
            for one in waiting:
                one.awaits(task)

    def _matcher(self, grammar: Grammar) -> Any:
        with self._mutex:
            matcher = self._compiled.get(grammar)
            if matcher is not None:
                self._compiled.move_to_end(grammar)
                return matcher
        # A grammar's rules may lead to each other as deep as it is long, and so deep calls its compiler
        # itself: on a thread's usual stack some thousands end the process.
        matcher = on_deep_stack("grammar-compiler", lambda: self._compile(grammar))
        with self._mutex:
            self._compiled[grammar] = matcher
            while len(self._compiled) > KEPT_GRAMMARS:
                self._compiled.popitem(last=False)
        return matcher

    def _compile(self, grammar: Grammar) -> Any:
        library = language_library("llguidance")
        if len(grammar.text) > MAX_GRAMMAR_CHARACTERS:
            raise _invalid(
                grammar,
                f"it has {len(grammar.text)} characters, and at most {MAX_GRAMMAR_CHARACTERS} are taken",
            )
        matcher = library.LLMatcher(
            self._tokens(library),
            _WRITERS[grammar.kind](library, grammar),
            limits=library.LLParserLimits(**_LIMITS),
            log_level=0,
        )
        first = matcher.deep_copy()
        first.compute_bitmask()  # what is too complex is often so from the start
        for one in (matcher, first):
            if one.is_error():
                raise _invalid(grammar, one.get_error())
        return matcher

    def _tokens(self, library: Any) -> Any:
        with self._opening:
            if self._opened is None:
                self._opened = library.LLTokenizer(
                    self._tokenizer.native.to_str(),
                    n_vocab=max(self._vocabulary, self._tokenizer.size),
                    eos_token=self._end_tokens or None,
                )
            return self._opened


class MatcherState:
    """Where a sequence stands, as llguidance's matcher knows it."""

    __slots__ = ("_mask", "_matcher", "_task", "_vocabulary", "is_over")

    def __init__(self, matcher: Any, vocabulary: int) -> None:
        self.is_over = False
        """Whether nothing can follow."""
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._mask: npt.NDArray[np.bool_] | None = None
        self._task: Future[None] | None = None

    @property
    def lacks_mask(self) -> bool:
        """Tell whether what may come next is neither known nor being worked out."""
        return self._mask is None and self._task is None

    def awaits(self, task: Future[None]) -> None:
        """Leave the mask to a task that fills it."""
        self._task = task

    def allowed(self) -> npt.NDArray[np.bool_]:
        """Mark the tokens that may come next. Raises InvalidArgument (GRAMMAR_TOO_COMPLEX)."""
        self._wait()
        mask = self.fill() if self._mask is None else self._mask
        if self._matcher.is_error():
            raise InvalidArgument(
                "GRAMMAR_TOO_COMPLEX",
                "the grammar or schema became too complex while the answer was written: "
                f"{_one_line(self._matcher.get_error())}; ask for a simpler form",
            )
        return mask

    def fill(self) -> npt.NDArray[np.bool_]:
        """Work out what may come next."""
        if self.is_over:
            mask = np.zeros(self._vocabulary, dtype=np.bool_)
        else:
            bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
            mask = np.unpackbits(bits, bitorder="little")[: self._vocabulary].view(np.bool_)
        self._mask = mask
        return mask

    def accept(self, token: int) -> None:
        """Go on by a token that was allowed."""
        self._wait()
        self._matcher.consume_token(token)
        self._mask = None
        self.is_over = self._matcher.is_stopped() and not self._matcher.is_error()

    def _wait(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.result()


def _fill_all(states: Sequence[MatcherState]) -> None:
    for one in states:
        one.fill()


def _from_schema(library: Any, grammar: Grammar) -> str:
    try:
        schema = json.loads(grammar.text)
        if schema is True:
            schema = {}
        if not isinstance(schema, dict):
            raise _invalid(grammar, "it is not a JSON object")
        written: str = library.LLMatcher.grammar_from_json_schema(
            json.dumps(closed(schema)), overrides=SEPARATORS
        )
    except (ValueError, RecursionError) as error:
        raise _invalid(grammar, str(error)) from None
    return written


def _any_object(library: Any, grammar: Grammar) -> str:
    return _from_schema(library, Grammar(grammar.kind, '{"type": "object"}'))


def _from_regex(library: Any, grammar: Grammar) -> str:
    written: str = library.LLMatcher.grammar_from_regex(grammar.text)
    return written


def _from_lark(library: Any, grammar: Grammar) -> str:
    written: str = library.LLMatcher.grammar_from_lark(grammar.text)
    return written


def _from_choice(library: Any, grammar: Grammar) -> str:
    try:
        texts = json.loads(grammar.text)
    except (ValueError, RecursionError) as error:
        raise _invalid(grammar, str(error)) from None
    if not isinstance(texts, list) or not texts or not all(isinstance(one, str) for one in texts):
        raise _invalid(grammar, "it is not a list of texts")
    choices = " | ".join(json.dumps(one, ensure_ascii=False) for one in texts)
    written: str = library.LLMatcher.grammar_from_lark(f"start: {choices}")
    return written


_WRITERS: dict[GrammarKind, Callable[[Any, Grammar], str]] = {
    GrammarKind.JSON_SCHEMA: _from_schema,
    GrammarKind.JSON_OBJECT: _any_object,
    GrammarKind.REGEX: _from_regex,
    GrammarKind.LARK: _from_lark,
    GrammarKind.CHOICE: _from_choice,
}


def _invalid(grammar: Grammar, why: str) -> InvalidArgument:
    return InvalidArgument(
        "GRAMMAR_INVALID",
        f"answers cannot be held to this {grammar.kind.value.replace('_', ' ')}: {_one_line(why)}",
    )


def _one_line(text: str) -> str:
    """The text as one line, and not all of a long one."""
    return " ".join(text.split())[:300]
