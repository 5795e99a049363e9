"""Texts as features: words, or characters of scripts that write no spaces, are there or not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headrace.lifecycle.explanation.features import Feature
from headrace.lifecycle.explanation.maskers import Masks
from headrace.lifecycle.explanation.refusals import invalid
from headrace.lifecycle.predictors.predictor import Array, Tensors

_SPACELESS = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
)
"""Thai, Lao, Burmese, Khmer, Japanese, Chinese: a character is a token."""
_TOKEN = re.compile(
    rf"[{_SPACELESS}\U00020000-\U0003ffff][\u0300-\u036f\u0e31-\u0e4e]*"
    rf"|[^\W{_SPACELESS}]+(?:['\u2019.\-][^\W{_SPACELESS}]+)*"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token, where it is in the text, and what stands between it and the one before."""

    text: str
    start: int
    before: str


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text. Punctuation and spaces between them are in `before`."""
    found, end = [], 0
    for match in _TOKEN.finditer(text):
        found.append(Token(match[0], match.start(), text[end : match.start()]))
        end = match.end()
    return found


class TextMasker:
    """Leaves tokens of one text out, or puts `replacement` in their place; all else stays the row's."""

    backgrounds = 1

    def __init__(self, row: Tensors, tensor: str, replacement: str = "") -> None:
        if row[tensor].size != 1:
            raise invalid(f"input {tensor!r} has {row[tensor].size} texts a row; one is explained")
        value = row[tensor].reshape(-1)[0]
        self.text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        self.tokens = tokens_of(self.text)
        if not self.tokens:
            raise invalid(f"the text of input {tensor!r} has no words")
        self.tail = self.text[self.tokens[-1].start + len(self.tokens[-1].text) :]
        self.features = tuple(
            Feature(token.text, tensor, (place,), token.text)
            for place, token in enumerate(self.tokens)
        )
        self.baseline = (
            f"each token as {replacement!r}" if replacement else "the text without its tokens"
        )
        self._row, self._tensor, self._replacement = row, tensor, replacement

    def rows(self, masks: Masks) -> dict[str, Array]:
        """The inputs: a row for each coalition."""
        made = {name: np.repeat(array, len(masks), axis=0) for name, array in self._row.items()}
        texts = np.empty(len(masks), dtype=object)
        for place, mask in enumerate(masks.tolist()):
            texts[place] = self.without(mask).encode()
        made[self._tensor] = texts.reshape((len(masks), *self._row[self._tensor].shape[1:]))
        return made

    def without(self, mask: Sequence[bool]) -> str:
        """The text with these tokens alone. Of one that is left out, the space before it goes, too."""
        parts = []
        for token, there in zip(self.tokens, mask, strict=True):
            if there:
                parts += [token.before, token.text]
            elif self._replacement:
                parts += [token.before, self._replacement]
            else:
                parts.append(token.before.rstrip())
        return ("".join(parts) + self.tail).strip()
