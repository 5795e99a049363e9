"""Makes text of a sequence's tokens as they come, never ending within a character or a stop string."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from headrace_inference.domain.generation.requests import StopConditions
from headrace_inference.domain.generation.tokens.stop_strings import StopStrings

CONTEXT_TOKENS = 6
"""As many of a prompt's last tokens tell how the text after them begins."""

_REPLACEMENT = "\ufffd"
_LONGEST_PART = 3
"""A character has four bytes at most: three tokens before its last one, or three U+FFFD in its place."""


class TokenDecoder(Protocol):
    """Makes texts of tokens."""

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Make a text of tokens; bytes that are no character become U+FFFD."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that may be sent now, and the stop string that ended the text."""

    text: str
    stopped_by: str | None = None


class TextStream:
    """The text of one sequence. A token that ended it, other than by a stop string, is not pushed."""

    __slots__ = ("_count", "_decoder", "_min_tokens", "_stops")

    def __init__(
        self,
        decoder: TokenDecoder,
        stop: StopConditions,
        *,
        skip_special_tokens: bool = True,
        context: Sequence[int] = (),
    ) -> None:
        """Begin after `context`, the prompt or its last tokens, where the text goes on from it."""
        self._decoder = _Detokenizer(decoder, context, skip_special_tokens=skip_special_tokens)
        self._stops = StopStrings(stop.strings, included=stop.include_stop_string)
        self._min_tokens = stop.min_tokens
        self._count = 0

    def push(self, token: int) -> Piece:
        """Take the next token. Nothing is pushed after a piece that was stopped."""
        self._count += 1
        text = self._decoder.push(token)
        return Piece(*self._stops.push(text, searched=self._count > self._min_tokens))

    def finish(self) -> str:
        """Return the rest of the text, once no token follows; '' after a stop string."""
        text, stopped_by = self._stops.push(self._decoder.rest())
        return text if stopped_by is not None else text + self._stops.rest()


class _Detokenizer:
    """Decodes each token behind one that is decoded already: alone it may lose its space.

    Tokens are pending while their text ends within a character. They are not kept as context: bytes that
    follow bytes are decoded together by some tokenizers, and may become something else.
    """

    __slots__ = ("_context", "_decoder", "_given", "_pending", "_skip")

    def __init__(
        self, decoder: TokenDecoder, context: Sequence[int], *, skip_special_tokens: bool
    ) -> None:
        self._decoder = decoder
        self._skip = skip_special_tokens
        self._context = self._whole(list(context[-CONTEXT_TOKENS:]))
        self._pending: list[int] = []
        text = self._decode(self._context)
        self._given = len(text) - _unsettled(text)
        """The characters of context and pending tokens that were given out."""

    def push(self, token: int) -> str:
        self._pending.append(token)
        text = self._text()
        if not text.endswith(_REPLACEMENT):
            return self._complete(text, token)
        if len(self._pending) <= _LONGEST_PART:
            return ""
        return self._overdue(text)

    def rest(self) -> str:
        return self._text()[self._given :]

    def _whole(self, tokens: list[int]) -> list[int]:
        """The last of the tokens, from where a character begins; all, where they end within one."""
        ends = (tokens[start:] for start in range(len(tokens)))
        return next((end for end in ends if _REPLACEMENT not in self._decode(end)), tokens)

    def _complete(self, text: str, token: int) -> str:
        """Give out all, and go on behind the last token if that alone says something."""
        fresh = text[self._given :]
        alone = self._decode([token])
        if alone and _REPLACEMENT not in alone:
            self._context = [token]
        elif not self._context and self._decode([token, token]):
            # A first space, which is cut off, or a character of bytes.
            self._context = self._pending
        self._pending = []
        self._given = len(self._decode(self._context))
        return fresh

    def _overdue(self, text: str) -> str:
        """Give out the first pending tokens that decode as well without those behind them."""
        before = len(self._decode(self._context))
        for count in range(1, len(self._pending) + 1):
            end = len(self._decode(self._context + self._pending[:count]))
            rest = len(self._decode(self._context + self._pending[count:])) - before
            if end + rest == len(text):
                break
        fresh = text[self._given : end]
        self._pending = self._pending[count:]
        self._given = before
        return fresh

    def _text(self) -> str:
        return self._decode(self._context + self._pending)

    def _decode(self, tokens: list[int]) -> str:
        return self._decoder.decode(tokens, skip_special_tokens=self._skip)


def _unsettled(text: str) -> int:
    """The characters at its end that further bytes may change."""
    return min(len(text) - len(text.rstrip(_REPLACEMENT)), _LONGEST_PART)
