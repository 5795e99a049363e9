"""The tokenizer of a GGUF file makes the tokens that llama.cpp makes of it.

The pieces here were compared with those of llama.cpp, which agree on 400 odd texts.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from gguf import GGUFWriter
from tokenizers import Tokenizer

from headrace import errors
from headrace.language.gguf.byte_reader import Value
from headrace.language.gguf.importing import import_gguf
from headrace.language.gguf.metadata import Metadata
from headrace.language.gguf.tokenizer_files import write_tokenizer
from headrace.language.gguf.vocabulary import read_vocabulary
from tests.language.tiny_gguf import write_tiny_gguf
from tests.language.tiny_tokenizer import tiny_tokenizer

TEXT = "I'LL pay $1234  for\n\n two."
PIECES = {
    "smollm": [
        "I",
        "'",
        "LL",
        "Ġpay",
        "Ġ$",
        "1",
        "2",
        "3",
        "4",
        "Ġ",
        "Ġfor",
        "ĊĊ",
        "Ġtwo",
        ".",
    ],
    "gpt-2": ["I", "'", "LL", "Ġpay", "Ġ$", "1234", "Ġ", "Ġfor", "ĊĊ", "Ġtwo", "."],
    "default": ["I", "'", "LL", "Ġpay", "Ġ", "$", "123", "4", "Ġ", "Ġfor", "ĊĊ", "Ġtwo", "."],
    "llama-bpe": ["I", "'LL", "Ġpay", "Ġ$", "123", "4", "Ġ", "Ġfor", "ĊĊ", "Ġtwo", "."],
    "qwen2": ["I", "'LL", "Ġpay", "Ġ$", "1", "2", "3", "4", "Ġ", "Ġfor", "ĊĊ", "Ġtwo", "."],
}


def _imported(path: Path) -> Tokenizer:
    folder = path.parent / "onnx"
    folder.mkdir(exist_ok=True)
    import_gguf(path, folder)
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@pytest.mark.parametrize("pre", PIECES)
def test_texts_are_split_as_the_file_says(pre: str, tmp_path: Path) -> None:
    """Each way of splitting has its own pieces."""
    write_tiny_gguf(tmp_path / "tiny.gguf", pre=pre)
    tokenizer = _imported(tmp_path / "tiny.gguf")
    pieces = [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(TEXT)]
    assert pieces == PIECES[pre]


def test_tokens_are_those_of_the_tokenizer_that_the_file_was_made_of(tmp_path: Path) -> None:
    """Vocabulary, merges and control tokens come through, and texts come back as they were."""
    write_tiny_gguf(tmp_path / "tiny.gguf", pre="gpt-2")
    tokenizer = _imported(tmp_path / "tiny.gguf")
    for text in (TEXT, "<|im_start|>user\nHi ü 漢字 😀<|im_end|>", "  a\t\tb \u0301", ""):
        tokens = tokenizer.encode(text, add_special_tokens=False).ids
        assert tokens == tiny_tokenizer().encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(tokens, skip_special_tokens=False) == text


def test_llama_3_begins_texts_unless_its_file_says_otherwise(tmp_path: Path) -> None:
    """Where a file leaves it open, texts split as Llama 3's begin with the token for that."""
    held = _pieces_metadata() | {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.merges": []}
    for pre, expected in (("llama-bpe", [1, 8]), ("gpt-2", [8])):
        assert _written(held | {"tokenizer.ggml.pre": pre}, tmp_path).encode("a").ids == expected


def _pieces_metadata() -> dict[str, Value]:
    """A vocabulary of SentencePiece by hand: 'ab' has a better score than 'bc'."""
    scored: dict[str, float] = {"▁": -9, "a": -10, "b": -11, "c": -12, "bc": -4, "ab": -3, "▁a": -5}
    names = ["<unk>", "<s>", "</s>", "<0xC3>", "<0xBC>", "<0x0A>", "<tool>"]
    return {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": [*names, *scored],
        "tokenizer.ggml.token_type": [2, 3, 3, 6, 6, 6, 4] + [1] * len(scored),
        "tokenizer.ggml.scores": [0.0] * len(names) + list(scored.values()),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
    }


def _written(values: dict[str, Value], folder: Path) -> Tokenizer:
    metadata = Metadata(values)
    write_tokenizer(folder, metadata, read_vocabulary(metadata, 99))
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc", ["▁", "ab", "c"]),  # the best score first, not the longest or the first piece
        ("aabc", ["▁a", "ab", "c"]),
        ("a\nü", ["▁a", "<0x0A>", "<0xC3>", "<0xBC>"]),
        ("a<tool>a", ["▁a", "<tool>", "▁a"]),
        ("a  c", ["▁a", "▁", "▁", "c"]),
    ],
)
def test_pieces_are_merged_by_their_scores(text: str, expected: list[str], tmp_path: Path) -> None:
    """As SentencePiece does: a space before the text, the best score first, bytes for what is left."""
    tokenizer = _written(_pieces_metadata(), tmp_path)
    assert tokenizer.encode(text, add_special_tokens=False).tokens == expected
    tokens = tokenizer.encode(text)
    assert tokens.tokens == ["<s>", *expected]
    if "<" not in text:
        assert tokenizer.decode(tokens.ids) == text


def test_several_chat_templates_keep_their_names(tmp_path: Path) -> None:
    """The one without a name is the default."""

    def add(writer: GGUFWriter) -> None:
        writer.add_array("tokenizer.chat_templates", ["tool_use"])
        writer.add_string("tokenizer.chat_template.tool_use", "with tools")

    write_tiny_gguf(tmp_path / "tiny.gguf", change=add)
    _imported(tmp_path / "tiny.gguf")
    config = json.loads((tmp_path / "onnx" / "tokenizer_config.json").read_text())
    assert [each["name"] for each in config["chat_template"]] == ["default", "tool_use"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tokenizer.ggml.model": "t5"}, "a tokenizer of kind 't5'"),
        ({"tokenizer.ggml.eos_token_id": 99}, "there are 14 tokens"),
        ({"tokenizer.ggml.scores": [1.0]}, "14 tokens have 1 scores"),
        ({"tokenizer.ggml.token_type": [1, 2, 99]}, "a kind of token that there is not"),
        ({"tokenizer.ggml.tokens": ["a"] * 14}, "the same text"),
        ({"tokenizer.ggml.tokens": 4}, "has to be a list of texts"),
    ],
)
def test_wrong_vocabularies_are_refused(
    change: dict[str, Value], said: str, tmp_path: Path
) -> None:
    """The message says what is wrong with them."""
    with pytest.raises(errors.InvalidArgument, match=said):
        _written(_pieces_metadata() | change, tmp_path)
