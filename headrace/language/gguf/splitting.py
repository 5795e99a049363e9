"""Says how texts are split before they become tokens, by the name that GGUF files give it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.language.gguf.refusals import unsupported

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}"
    r"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True, slots=True)
class Splitting:
    """Patterns, each of which cuts what the one before left whole."""

    patterns: tuple[str, ...]
    begins: bool = False
    """Whether texts begin with a token for that, unless the file says otherwise."""
    whole_words: bool = False
    """Whether a piece that is a token stays one, though its merges would make others."""
    composed: bool = False
    """Whether characters are composed first (NFC), as Qwen's own tokenizer does."""


_LLAMA3 = Splitting((_WORDS.format(digits="{1,3}"),), begins=True, whole_words=True)
_ONE_DIGIT = _WORDS.format(digits="")
_DIGITS_ALONE = Splitting((r"\p{N}", _GPT2))
_GPT = Splitting((_GPT2,))

SPLITTINGS: Mapping[str, Splitting] = {
    "default": Splitting((r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]")),
    "gpt-2": _GPT,
    "llama3": _LLAMA3,
    "llama-v3": _LLAMA3,
    "llama-bpe": _LLAMA3,
    "qwen2": Splitting((_ONE_DIGIT,), composed=True),
    "deepseek-r1-qwen": Splitting((_ONE_DIGIT,)),
    "smollm": _DIGITS_ALONE,
    "starcoder": _DIGITS_ALONE,
}


def splitting_named(name: str) -> Splitting:
    """Return how texts are split. Raises InvalidArgument (GGUF_UNSUPPORTED)."""
    found = SPLITTINGS.get(name)
    if found is None:
        said = (
            f"texts split as {name!r}" if name else "texts split in a way that the file leaves out"
        )
        raise unsupported(f"{said} (tokenizer.ggml.pre)", f"{', '.join(sorted(SPLITTINGS))} can be")
    return found


def split_texts(tokenizer: Tokenizer, splitting: Splitting) -> None:
    """Have a tokenizer split texts so."""
    from tokenizers import Regex, normalizers, pre_tokenizers

    splits = [
        pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in splitting.patterns
    ]
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, as_bytes])
    if splitting.composed:
        tokenizer.normalizer = normalizers.NFC()
