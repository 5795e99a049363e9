"""Reads the tokens of a GGUF file, and which of them have a meaning of their own."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.language.gguf.metadata import Metadata
from headrace.language.gguf.refusals import invalid

_KEY = "tokenizer.ggml."
_ENDS = frozenset(
    (
        "<|im_end|>",
        "<|eot_id|>",
        "<|eom_id|>",
        "<|end_of_text|>",
        "<|endoftext|>",
        "</s>",
        "<|end|>",
    )
)
"""Control tokens that end an answer, whatever a file's metadata name."""


class TokenType(enum.IntEnum):
    """The purpose of a token."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The tokens in the order of their numbers."""

    model: str
    """How texts become tokens: `gpt2`, `llama`, and others."""
    pre: str
    """How texts are split before that; '' where the file does not say."""
    tokens: Sequence[str]
    types: Sequence[TokenType]
    begin: int | None
    end: int | None
    unknown: int | None
    padding: int | None
    ends: Sequence[int]
    """Every token that ends an answer, the first the one of the metadata."""
    adds_begin: bool | None
    """Whether a text begins with the token `begin`; None: as its kind does."""
    adds_end: bool
    adds_space: bool


def read_vocabulary(metadata: Metadata, rows: int) -> Vocabulary:
    """Return the vocabulary of a model with so many rows of embeddings. Raises InvalidArgument."""
    tokens = metadata.texts(f"{_KEY}tokens")
    types = _types(metadata, len(tokens))
    if not 0 < len(tokens) <= rows:
        raise invalid(f"it has {len(tokens)} tokens for {rows} rows of embeddings")

    def token(key: str) -> int | None:
        number = metadata.optional_whole(f"{_KEY}{key}")
        if number is not None and number >= len(tokens):
            raise invalid(f"{_KEY}{key} is {number}, and there are {len(tokens)} tokens")
        return number

    named = [token(key) for key in ("eos_token_id", "eot_token_id", "eom_token_id")]
    known = [
        number
        for number, (text, kind) in enumerate(zip(tokens, types, strict=True))
        if kind is TokenType.CONTROL and text in _ENDS
    ]
    ends = list(dict.fromkeys([*(each for each in named if each is not None), *known]))
    if not ends:
        raise invalid("no token is said to end an answer: tokenizer.ggml.eos_token_id is missing")
    begins = f"{_KEY}add_bos_token"
    return Vocabulary(
        model=metadata.text(f"{_KEY}model"),
        pre=metadata.text(f"{_KEY}pre", ""),
        tokens=tokens,
        types=types,
        begin=token("bos_token_id"),
        end=named[0],
        unknown=token("unknown_token_id"),
        padding=token("padding_token_id"),
        ends=ends,
        adds_begin=metadata.flag(begins, default=False) if metadata.has(begins) else None,
        adds_end=metadata.flag(f"{_KEY}add_eos_token", default=False),
        adds_space=metadata.flag(f"{_KEY}add_space_prefix", default=True),
    )


def _types(metadata: Metadata, count: int) -> list[TokenType]:
    if not metadata.has(f"{_KEY}token_type"):
        return [TokenType.NORMAL] * count
    try:
        types = [TokenType(int(each)) for each in metadata.numbers(f"{_KEY}token_type")]
    except (ValueError, OverflowError) as error:
        raise invalid(f"{_KEY}token_type names a kind of token that there is not") from error
    if len(types) != count:
        raise invalid(f"{count} tokens have {len(types)} types")
    return types
