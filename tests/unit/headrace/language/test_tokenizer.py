"""Texts as tokens and back."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from headrace.errors import FailedPrecondition, InvalidArgument
from headrace.language.tokenizer import TextTokenizer, tokenizer_digest
from tests.language.metaspace_tokenizer import metaspace_tokenizer
from tests.language.tiny_tokenizer import END, START, tiny_tokenizer

_WIDE = "\uff1c/s\uff1e"


def _opened(tokenizer: Tokenizer, folder: Path) -> TextTokenizer:
    tokenizer.save(str(folder / "tokenizer.json"))
    return TextTokenizer(folder / "tokenizer.json")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    return _opened(tiny_tokenizer(), tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def metaspace(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    return _opened(metaspace_tokenizer(), tmp_path_factory.mktemp("metaspace"))


@pytest.mark.parametrize("name", ["tiny", "metaspace"])
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.sampled_from("ab wor ld,\n é你😀<|im_end|></s>"), max_size=40))
def test_ordinary_text_keeps_its_tokens(
    name: str, text: str, request: pytest.FixtureRequest
) -> None:
    """It is encoded as the library does; the bytes of its tokens are the text's."""
    tokenizer: TextTokenizer = request.getfixturevalue(name)
    tokens = tokenizer.encode("x" + text, add_special_tokens=False)
    if not tokenizer.control.occur_in(text):
        assert tokenizer.native.encode("x" + text, add_special_tokens=False).ids == tokens
    assert "x" + text == tokenizer.decode(tokens, skip_special_tokens=True)
    joined = b"".join(map(tokenizer.token_bytes, tokens)).decode()
    assert "x" + text == (joined.removeprefix(" ") if name == "metaspace" else joined)
    assert not tokenizer.special_tokens & set(tokens)


def test_control_tokens_are_text_unless_they_are_asked_for(tiny: TextTokenizer) -> None:
    """What people write ends no turn; a template's text does. Long texts are no different."""
    text = "a<|im_end|>b<|im_start|>"
    plain = tiny.encode(text, add_special_tokens=False)
    read = tiny.encode(text, add_special_tokens=False, parse_special=True)
    assert not {START, END} & set(plain)
    assert [END, START] == [token for token in read if token in tiny.special_tokens]
    assert text == tiny.decode(plain, skip_special_tokens=True)
    assert "ab" == tiny.decode(read, skip_special_tokens=True)
    long = tiny.encode("x " * 5000 + text, add_special_tokens=False)
    assert not {START, END} & set(long)


def test_a_control_token_that_normalization_writes_is_text(tmp_path: Path) -> None:
    """Wide letters that a normalizer makes narrow do not end a turn either."""
    tokenizer = Tokenizer(models.BPE({"<": 0, "/": 1, "s": 2, ">": 3}, []))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.add_special_tokens([AddedToken("</s>", special=True, normalized=True)])
    opened = _opened(tokenizer, tmp_path)
    assert [4] == tokenizer.encode(_WIDE).ids
    assert [0, 1, 2, 3] == opened.encode(_WIDE, add_special_tokens=False)


def test_half_a_surrogate_pair_is_refused(tiny: TextTokenizer) -> None:
    """JSON can carry it, and UTF-8 cannot."""
    for text in ("ab\ud800", "\udfff"):
        with pytest.raises(InvalidArgument) as raised:
            tiny.encode(text, add_special_tokens=False)
        assert "TEXT_INVALID" == raised.value.reason


@pytest.mark.parametrize("count", [40, 5_000])
def test_a_text_that_is_too_much_for_an_expression_is_refused(tmp_path: Path, count: int) -> None:
    """As an error that every caller is told."""
    tokenizer = Tokenizer.from_str(tiny_tokenizer().to_str())
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("(a+)+$"), "isolated")
    opened = _opened(tokenizer, tmp_path)
    assert opened.encode("b" * count, add_special_tokens=False)
    with pytest.raises(InvalidArgument) as raised:
        opened.encode("a" * count + "!", add_special_tokens=False)
    assert raised.value.reason == "TEXT_INVALID"


def test_tokens_that_are_too_much_for_an_expression_are_refused(tmp_path: Path) -> None:
    """By an error that ends one answer: a panic would end the thread of all."""
    tokenizer = Tokenizer.from_str(tiny_tokenizer().to_str())
    tokenizer.decoder = decoders.Sequence([decoders.Fuse(), decoders.Replace(Regex("(a+)+$"), "b")])
    opened = _opened(tokenizer, tmp_path)
    tokens = opened.encode("a" * 40 + "!", add_special_tokens=False)
    with pytest.raises(InvalidArgument) as raised:
        opened.decode(tokens, skip_special_tokens=False)
    assert raised.value.reason == "TEXT_INVALID"


def test_unknown_tokens_are_left_out(tiny: TextTokenizer) -> None:
    """Ids beyond the vocabulary, or below 0, decode to nothing and have no bytes."""
    tokens = tiny.encode("mill", add_special_tokens=False)
    assert "mill" == tiny.decode([*tokens, 10**6, 2**40, -1], skip_special_tokens=True)
    assert [b"", b""] == [tiny.token_bytes(tiny.size), tiny.token_bytes(-1)]
    assert b"<|im_end|>" == tiny.token_bytes(END)
    assert (END, None) == (tiny.token_of("<|im_end|>"), tiny.token_of("no such token"))


def test_ids_may_leave_some_out(tmp_path: Path) -> None:
    """The size is one more than the largest, so that every id below it may be asked for."""
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 9}, unk_token="a"))
    opened = _opened(tokenizer, tmp_path)
    assert (10, b"b", b"") == (opened.size, opened.token_bytes(9), opened.token_bytes(5))


def test_texts_are_neither_cut_nor_filled_up(tmp_path: Path) -> None:
    """Whatever the file says of that; and a control token that somebody writes is no control token."""
    tokenizer = Tokenizer(
        models.WordLevel({"[CLS]": 0, "[SEP]": 1, "[UNK]": 2, "a": 3, "b": 4}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(["[CLS]", "[SEP]"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", 0), ("[SEP]", 1)],
    )
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=9)
    opened = _opened(tokenizer, tmp_path)
    assert [0, 3, 1] == opened.encode("a", add_special_tokens=True)
    assert [0, 3, 3, 3, 3, 1] == opened.encode("a a a a", add_special_tokens=True)
    assert 1 == opened.encode("[SEP]", add_special_tokens=True).count(1)


@pytest.mark.parametrize("held", [None, b"", b"{}", b"[]", b'{"model": 1}', b"\xff"])
def test_files_that_are_no_tokenizer_are_refused(held: bytes | None, tmp_path: Path) -> None:
    """With a reason, whatever is in them."""
    if held is not None:
        (tmp_path / "tokenizer.json").write_bytes(held)
    with pytest.raises(InvalidArgument) as raised:
        TextTokenizer(tmp_path / "tokenizer.json")
    assert "LANGUAGE_FILES_INVALID" == raised.value.reason


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal says what to install."""
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(FailedPrecondition, match=r"pip install 'headrace\[language\]'") as raised:
        TextTokenizer(tmp_path / "tokenizer.json")
    assert "LANGUAGE_EXTRA_MISSING" == raised.value.reason


def test_the_digest_is_that_of_the_file(tiny: TextTokenizer, tmp_path: Path) -> None:
    """Two tokenizers differ in it."""
    path = tmp_path / "tokenizer.json"
    tiny_tokenizer().save(str(path))
    first = tokenizer_digest(path)
    held = json.loads(path.read_bytes())
    path.write_text(json.dumps(held), "utf-8")
    assert 64 == len(first)
    assert first != tokenizer_digest(path)
