"""Makes tokens of texts and texts of tokens, by a model's tokenizer.json."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headrace.errors import InvalidArgument
from headrace.language.control_tokens import ControlTokens
from headrace.language.extra import language_library
from headrace.language.language_files import MAX_TOKENIZER_BYTES, invalid
from headrace.language.token_bytes import TokenBytes

TOKENIZER_FILE = "tokenizer.json"

_LONG_TEXT = 4096
"""Characters from which other threads run meanwhile, by a pool of threads that short texts need not."""


class TextTokenizer:
    """A tokenizer of Hugging Face's form. All methods may be called from any thread.

    Control tokens (`special` ones: the ends of turns, the marks of roles) are read in a text where
    `parse_special` says so, and are plain text otherwise.
    """

    def __init__(self, path: Path) -> None:
        """Raises InvalidArgument (LANGUAGE_FILES_INVALID), FailedPrecondition (LANGUAGE_EXTRA_MISSING)."""
        self._path = path
        self._tokenizer = _opened(path)
        added = self._tokenizer.get_added_tokens_decoder()
        self.special_tokens = frozenset(token for token, one in added.items() if one.special)
        """The ids of the control tokens."""
        self.control = ControlTokens([one.content for one in added.values() if one.special])
        """Their texts."""
        self._vocabulary = _size(self._tokenizer, added)
        self._bytes = TokenBytes(self._tokenizer, {t: one.content for t, one in added.items()})
        self._normalizes = any(one.special and one.normalized for one in added.values())
        self._plain: Any = None
        self._opening = threading.Lock()

    @property
    def size(self) -> int:
        """Count the tokens that it knows: ids are below this."""
        return self._vocabulary

    @property
    def native(self) -> Any:
        """The `tokenizers.Tokenizer` itself."""
        return self._tokenizer

    def encode(
        self, text: str, *, add_special_tokens: bool, parse_special: bool = False
    ) -> list[int]:
        """Make tokens of a text.

        Raises InvalidArgument (TEXT_INVALID) for what is not Unicode text, or too much for its expressions.
        """
        refuse_broken(text)
        tokenizer = self._tokenizer
        if not parse_special and self.writes_control(text):
            tokenizer = self._without_control()
        try:
            return _ids(tokenizer, text, add_special_tokens=add_special_tokens)
        except BaseException as error:
            refuse_panic(error)
            raise

    def writes_control(self, text: str) -> bool:
        """Tell whether a control token is written in the text."""
        if self.control.occur_in(text):
            return True
        normalizer = self._tokenizer.normalizer if self._normalizes else None
        return normalizer is not None and self.control.occur_in(normalizer.normalize_str(text))

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool) -> str:
        """Make a text of tokens. Tokens that it does not know are left out.

        Raises InvalidArgument (TEXT_INVALID) for what is too much for its expressions.
        """
        try:
            text = self._tokenizer.decode(tokens, skip_special_tokens=skip_special_tokens)
        except OverflowError:
            known = [token for token in tokens if 0 <= token < self._vocabulary]
            text = self._tokenizer.decode(known, skip_special_tokens=skip_special_tokens)
        except BaseException as error:
            refuse_panic(error)
            raise
        return str(text)

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes that a token stands for, which may be a part of a character."""
        return self._bytes.of(token) if 0 <= token < self._vocabulary else b""

    def token_of(self, text: str) -> int | None:
        """Return the id of the token that is written so, None where there is none."""
        token: int | None = self._tokenizer.token_to_id(text)
        return token

    def _without_control(self) -> Any:
        """The same tokenizer, blind to control tokens: few texts need it, and it takes memory."""
        with self._opening:
            if self._plain is None:
                plain = _opened(self._path)
                plain.encode_special_tokens = True
                self._plain = plain
            return self._plain


def tokenizer_digest(path: Path) -> str:
    """Return the SHA-256 of a tokenizer.json, in hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refuse_broken(text: str) -> None:
    """Raise InvalidArgument (TEXT_INVALID) for text that UTF-8 cannot express."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(
            "TEXT_INVALID",
            f"the text is not Unicode: half of a surrogate pair at character {error.start}; "
            "send whole characters",
        ) from None


def refuse_panic(error: BaseException) -> None:
    """Raise InvalidArgument (TEXT_INVALID) where the library gave up: its panics are no `Exception`s.

    A regular expression of a tokenizer.json may need more steps for a text than are taken.
    """
    if type(error).__name__ == "PanicException":
        raise InvalidArgument(
            "TEXT_INVALID",
            f"the model's tokenizer gives up on the text ({str(error)[:100]}); send another text, "
            "or push the model with a simpler expression in its tokenizer.json",
        ) from None


def _size(tokenizer: Any, added: Mapping[int, object]) -> int:
    """One more than the largest id, which is the number of tokens where no id is left out."""
    count: int = tokenizer.get_vocab_size(with_added_tokens=True)
    if max(added, default=0) < count and tokenizer.id_to_token(count - 1) is not None:
        return count
    # A mapping of all tokens takes megabytes, so it is the last resort.
    return 1 + max(tokenizer.get_vocab().values(), default=-1)


def _opened(path: Path) -> Any:
    library = language_library("tokenizers")
    try:
        size = path.stat().st_size
    except OSError as error:
        raise invalid(f"{path.name} cannot be read: {error.strerror}") from None
    if size > MAX_TOKENIZER_BYTES:
        raise invalid(f"{path.name} has {size} bytes, and at most {MAX_TOKENIZER_BYTES} are read")
    try:
        tokenizer = library.Tokenizer.from_file(str(path))
    except Exception as error:  # noqa: BLE001  the library raises nothing narrower
        raise invalid(f"{path.name} is no tokenizer: {str(error)[:200]}") from None
    # Files keep what their training used; here a text is never cut, nor filled up.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _ids(tokenizer: Any, text: str, *, add_special_tokens: bool) -> list[int]:
    if len(text) < _LONG_TEXT:
        encoded = tokenizer.encode(text, add_special_tokens=add_special_tokens)
    else:
        encoded = tokenizer.encode_batch_fast([text], add_special_tokens=add_special_tokens)[0]
    return list(encoded.ids)
