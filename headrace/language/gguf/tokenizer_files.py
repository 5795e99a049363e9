"""Writes a GGUF file's vocabulary as tokenizer.json and tokenizer_config.json."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.language.gguf.metadata import Metadata
from headrace.language.gguf.refusals import invalid, unsupported
from headrace.language.gguf.splitting import split_texts, splitting_named
from headrace.language.gguf.vocabulary import TokenType, Vocabulary

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPACE = "\u2581"
"""How SentencePiece writes a space."""


def write_tokenizer(folder: Path, metadata: Metadata, vocabulary: Vocabulary) -> None:
    """Write both files. Raises InvalidArgument (GGUF_INVALID, GGUF_UNSUPPORTED)."""
    if len(set(vocabulary.tokens)) != len(vocabulary.tokens):
        raise invalid("two of its tokens are the same text")
    if vocabulary.model == "gpt2":
        tokenizer, begins = _bytes(metadata, vocabulary)
    elif vocabulary.model == "llama":
        tokenizer, begins = _pieces(metadata, vocabulary)
    else:
        raise unsupported(
            f"a tokenizer of kind {vocabulary.model!r}",
            "byte-level BPE and SentencePiece's BPE can be",
        )
    adds_begin = begins if vocabulary.adds_begin is None else vocabulary.adds_begin
    _add_named_tokens(tokenizer, vocabulary)
    _add_ends(tokenizer, vocabulary, adds_begin=adds_begin)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = _config(metadata, vocabulary, adds_begin=adds_begin)
    text = json.dumps(config, indent=2, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(text + "\n", "utf-8")


def _bytes(metadata: Metadata, vocabulary: Vocabulary) -> tuple[Tokenizer, bool]:
    """A tokenizer that merges bytes, and whether its texts begin with a token for that."""
    from tokenizers import Tokenizer, decoders, models

    splitting = splitting_named(vocabulary.pre)
    numbers = {token: number for number, token in enumerate(vocabulary.tokens)}
    merges = list(_merges(metadata.texts("tokenizer.ggml.merges"), numbers))
    tokenizer = Tokenizer(models.BPE(numbers, merges, ignore_merges=splitting.whole_words))
    split_texts(tokenizer, splitting)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer, splitting.begins


def _merges(lines: list[str], numbers: dict[str, int]) -> Iterator[tuple[str, str]]:
    for line in lines:
        # A token may begin with a space of its own, which stands before the one that parts the two.
        at = line.find(" ", 1)
        left, right = line[:at], line[at + 1 :]
        if at < 0 or not {left, right, left + right} <= numbers.keys():
            raise invalid(f"the merge {line[:60]!r} is not one of its tokens")
        yield left, right


def _pieces(metadata: Metadata, vocabulary: Vocabulary) -> tuple[Tokenizer, bool]:
    """A tokenizer that merges what makes the piece with the highest score, as SentencePiece does."""
    from tokenizers import Tokenizer, decoders, models, normalizers

    scores = metadata.numbers("tokenizer.ggml.scores")
    if len(scores) != len(vocabulary.tokens):
        raise invalid(f"{len(vocabulary.tokens)} tokens have {len(scores)} scores")
    numbers = {token: number for number, token in enumerate(vocabulary.tokens)}
    unknown = vocabulary.tokens[vocabulary.unknown or 0]
    model = models.BPE(
        numbers,
        _merges_by_score(vocabulary, numbers, scores),
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = Tokenizer(model)
    steps = [normalizers.Prepend(SPACE)] if vocabulary.adds_space else []
    tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", SPACE)])
    parts = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if vocabulary.adds_space:
        parts.append(decoders.Strip(" ", 1, 0))
    tokenizer.decoder = decoders.Sequence(parts)
    return tokenizer, True


def _merges_by_score(
    vocabulary: Vocabulary, numbers: dict[str, int], scores: list[float]
) -> list[tuple[str, str]]:
    """Every pair of pieces that makes a piece, those of the highest scores first."""
    found = []
    for token, kind, score in zip(vocabulary.tokens, vocabulary.types, scores, strict=True):
        if kind not in (TokenType.NORMAL, TokenType.USER_DEFINED, TokenType.UNUSED):
            continue
        for at in range(1, len(token)):
            left, right = numbers.get(token[:at]), numbers.get(token[at:])
            if left is not None and right is not None:
                found.append((-score, left, right))
    found.sort()
    return [(vocabulary.tokens[left], vocabulary.tokens[right]) for _, left, right in found]


def _add_named_tokens(tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
    """Have tokens found in texts before these are split: controls, and what a user defined."""
    from tokenizers import AddedToken

    controls, defined = [], []
    for token, kind in zip(vocabulary.tokens, vocabulary.types, strict=True):
        if kind in (TokenType.CONTROL, TokenType.UNKNOWN):
            controls.append(AddedToken(token, special=True, normalized=False))
        elif kind is TokenType.USER_DEFINED:
            defined.append(AddedToken(token, special=False, normalized=False))
    tokenizer.add_special_tokens(controls)
    tokenizer.add_tokens(defined)


def _add_ends(tokenizer: Tokenizer, vocabulary: Vocabulary, *, adds_begin: bool) -> None:
    """Have texts begin and end with their tokens, where special tokens are asked for."""
    from tokenizers import processors

    begin = vocabulary.begin if adds_begin else None
    end = vocabulary.end if vocabulary.adds_end else None
    named = [vocabulary.tokens[each] for each in (begin,) if each is not None]
    after = [vocabulary.tokens[each] for each in (end,) if each is not None]
    if not named and not after:
        return
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[*named, "$A", *after],
        pair=[
            *named,
            "$A",
            *after,
            *(f"{each}:1" for each in named),
            "$B:1",
            *(f"{each}:1" for each in after),
        ],
        special_tokens=[
            (vocabulary.tokens[each], each) for each in {begin, end} if each is not None
        ],
    )


def _config(metadata: Metadata, vocabulary: Vocabulary, *, adds_begin: bool) -> dict[str, object]:
    config: dict[str, object] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": adds_begin,
        "add_eos_token": vocabulary.adds_end,
        "clean_up_tokenization_spaces": False,
    }
    named = {
        "bos_token": vocabulary.begin,
        "eos_token": vocabulary.ends[0] if vocabulary.end is None else vocabulary.end,
        "unk_token": vocabulary.unknown,
        "pad_token": vocabulary.padding,
    }
    for key, number in named.items():
        if number is not None:
            config[key] = vocabulary.tokens[number]
    template = _chat_template(metadata)
    if template is not None:
        config["chat_template"] = template
    return config


def _chat_template(metadata: Metadata) -> object:
    """One template, or several with their names, or None."""
    key = "tokenizer.chat_template"
    if not metadata.has(f"{key}s"):
        return metadata.text(key) if metadata.has(key) else None
    named = [
        {"name": name, "template": metadata.text(f"{key}.{name}")}
        for name in metadata.texts(f"{key}s")
        if metadata.has(f"{key}.{name}")
    ]
    if metadata.has(key):
        named.insert(0, {"name": "default", "template": metadata.text(key)})
    return named
