"""Texts and pairs of texts as the tokens of an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace.errors import InvalidArgument
from headrace.language.encoder_files import EncoderFiles
from headrace.language.tokenizer import TOKENIZER_FILE, TextTokenizer, refuse_broken


class EncoderCodec:
    """The domain's `PairCodec`. Every method may be called from any thread.

    Control tokens that are written in a text are plain text: nobody ends a query and begins a document.
    """

    def __init__(self, root: Path, files: EncoderFiles) -> None:
        """Raises InvalidArgument (LANGUAGE_FILES_INVALID), FailedPrecondition (LANGUAGE_EXTRA_MISSING)."""
        self._texts = TextTokenizer(root / TOKENIZER_FILE)
        self._tokenizer = self._texts.native
        self._tokenizer.encode_special_tokens = True
        self._lowercases = files.lowercases
        self._prompt = files.prompt
        self._pair_tokens: int = self._tokenizer.num_special_tokens_to_add(is_pair=True)
        self.end_tokens = _end_tokens(self._tokenizer)

    @property
    def size(self) -> int:
        """Count the tokens that it knows: ids are below this."""
        return self._texts.size

    def encode(
        self, text: str, *, add_special_tokens: bool, parse_special: bool = False
    ) -> list[int]:
        """Make tokens of a text as it is, without a prompt. Raises InvalidArgument (TEXT_INVALID)."""
        if parse_special:
            raise InvalidArgument(
                "TEXT_INVALID", "an encoder reads no control tokens in texts: send tokens instead"
            )
        ids: list[int] = self._encoded([text], special=add_special_tokens)[0].ids
        return ids

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Make a text of tokens. Tokens that it does not know are left out."""
        return self._texts.decode(tokens, skip_special_tokens=skip_special_tokens)

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes that a token stands for, which may be a part of a character."""
        return self._texts.token_bytes(token)

    def encode_texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Make tokens of texts behind the model's prompt. Raises InvalidArgument (TEXT_INVALID)."""
        prompted = [self._prompt + text for text in texts] if self._prompt else texts
        return [encoding.ids for encoding in self._encoded(prompted, special=True)]

    def encode_pairs(
        self, first: str, seconds: Sequence[str], most_tokens: int = 0, second_tokens: int = 0
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Return the tokens of each pair as one text, and which of the two each belongs to.

        Raises InvalidArgument (TEXT_INVALID).
        """
        query = self._encoded([first], special=False)[0]
        encoded = self._encoded(seconds, special=False)
        if second_tokens:
            _cut(encoded, second_tokens)
        if most_tokens:
            room = max(0, most_tokens - self._pair_tokens)
            _cut([query], room)
            _cut(encoded, room - len(query.ids))
        joined = [self._tokenizer.post_process(query, one, True) for one in encoded]
        return [pair.ids for pair in joined], [pair.type_ids for pair in joined]

    def _encoded(self, texts: Sequence[str], *, special: bool) -> Any:
        for text in texts:
            refuse_broken(text)
        written = [text.lower() for text in texts] if self._lowercases else list(texts)
        if len(written) == 1:  # without the threads that a batch would start
            return [self._tokenizer.encode(written[0], add_special_tokens=special)]
        return self._tokenizer.encode_batch(written, add_special_tokens=special)


def _cut(encoded: Sequence[Any], most: int) -> None:
    for one in encoded:
        one.truncate(most)


def _end_tokens(tokenizer: Any) -> int:
    """Count the special tokens that are put behind a text."""
    special: list[int] = tokenizer.encode("a", add_special_tokens=True).special_tokens_mask
    return next((place for place, one in enumerate(reversed(special)) if not one), 0)
