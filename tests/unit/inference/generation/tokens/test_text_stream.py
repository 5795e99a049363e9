"""How tokens become text as they come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from headrace_inference.domain.generation.requests import StopConditions
from headrace_inference.domain.generation.tokens.text_stream import Piece, TextStream
from tests.language.metaspace_tokenizer import metaspace_tokenizer
from tests.language.tiny_tokenizer import END, tiny_tokenizer

_FREE = StopConditions(max_tokens=1000)
_texts = st.text(st.sampled_from("ab wor ld,\n  é你好😀\U0001f468\u200d\U0001f469"), max_size=30)


class _Decoder:
    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=skip_special_tokens))


_TOKENIZERS = [tiny_tokenizer(), metaspace_tokenizer()]


def _pieces(tokenizer: Tokenizer, tokens: Sequence[int], stop: StopConditions = _FREE) -> list[str]:
    stream = TextStream(_Decoder(tokenizer), stop)
    return [*(stream.push(token).text for token in tokens), stream.finish()]


@pytest.mark.parametrize("tokenizer", _TOKENIZERS, ids=["byte-level", "metaspace"])
@settings(max_examples=150, deadline=None)
@given(text=_texts)
def test_pieces_are_whole_characters_and_make_up_the_text(tokenizer: Tokenizer, text: str) -> None:
    """Each piece is a part of the text; no replacement character is sent for half a character."""
    tokens = tokenizer.encode(text, add_special_tokens=False).ids
    pieces = _pieces(tokenizer, tokens)
    assert tokenizer.decode(tokens) == "".join(pieces)
    assert not any("\ufffd" in piece for piece in pieces)


@pytest.mark.parametrize("tokenizer", _TOKENIZERS, ids=["byte-level", "metaspace"])
@settings(max_examples=100, deadline=None)
@given(before=_texts, text=_texts, special=st.lists(st.integers(0, 2), max_size=6))
def test_a_text_goes_on_from_its_prompt(
    tokenizer: Tokenizer, before: str, text: str, special: list[int]
) -> None:
    """After a prompt a first space stays; control tokens are left out and change nothing."""
    prompt = tokenizer.encode("x" + before, add_special_tokens=False).ids
    tokens = tokenizer.encode(text, add_special_tokens=False).ids
    stream = TextStream(_Decoder(tokenizer), _FREE, context=prompt)
    said = "".join(stream.push(token).text for token in [*special, *tokens, *special])
    assert tokenizer.decode(prompt + tokens)[len("x" + before) :] == said + stream.finish()


@settings(max_examples=150, deadline=None)
@example([176, 115, 121, 175])  # most of a character, and the first byte of another
@given(
    st.lists(
        st.integers(3, 258) | st.integers(3, tiny_tokenizer().get_vocab_size() - 1), max_size=40
    )
)
def test_bytes_that_are_no_text_come_out_as_they_decode(tokens: list[int]) -> None:
    """Random tokens, mostly single bytes: all of it comes, as decoding it at once gives it."""
    tokenizer = tiny_tokenizer()
    assert tokenizer.decode(tokens) == "".join(_pieces(tokenizer, tokens))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 295), max_size=40))
def test_bytes_of_a_vocabulary_with_spaces_are_given_out(tokens: list[int]) -> None:
    """Broken bytes do not stop what follows: a word after them comes at once."""
    tokenizer = metaspace_tokenizer()
    (word,) = tokenizer.encode("world", add_special_tokens=False).ids
    stream = TextStream(_Decoder(tokenizer), _FREE)
    for token in [*tokens, word]:
        last = stream.push(token)
    assert last.text.endswith("world")


def test_broken_bytes_wait_a_few_tokens_and_no_longer() -> None:
    """The first byte of a character that never comes is given out with the fourth token."""
    tokenizer = tiny_tokenizer()
    lead = tokenizer.encode("你", add_special_tokens=False).ids[0]
    said = _pieces(tokenizer, [lead, END, END, END, END])
    assert ["", "", "", "\ufffd", "", ""] == said


@pytest.mark.parametrize("tokenizer", _TOKENIZERS, ids=["byte-level", "metaspace"])
def test_a_cut_character_comes_at_the_end(tokenizer: Tokenizer) -> None:
    """What stays incomplete is sent as U+FFFD once nothing follows; a true U+FFFD is not lost."""
    tokens = tokenizer.encode("a 你", add_special_tokens=False).ids
    assert "a \ufffd" == "".join(_pieces(tokenizer, tokens[:-1])).replace("\ufffd\ufffd", "\ufffd")
    tokens = tokenizer.encode("a \ufffd", add_special_tokens=False).ids
    assert "a \ufffd" == "".join(_pieces(tokenizer, tokens))


def test_control_tokens_are_shown_where_they_are_wanted() -> None:
    """Without skipping them they are text as any other."""
    stream = TextStream(_Decoder(tiny_tokenizer()), _FREE, skip_special_tokens=False)
    assert "<|im_end|>" == stream.push(END).text


@pytest.mark.parametrize("tokenizer", _TOKENIZERS, ids=["byte-level", "metaspace"])
@pytest.mark.parametrize("included", [False, True])
def test_a_stop_string_across_tokens_ends_the_stream(tokenizer: Tokenizer, included: bool) -> None:
    """No part of it was sent before; it is told, and sent if that is wanted."""
    stop = StopConditions(max_tokens=99, strings=("world,",), include_stop_string=included)
    stream = TextStream(_Decoder(tokenizer), stop)
    said: list[Piece] = []
    for token in tokenizer.encode("a world, b", add_special_tokens=False).ids:
        said.append(stream.push(token))
        if said[-1].stopped_by is not None:
            break
    assert "world," == said[-1].stopped_by
    assert ("a world," if included else "a ") == "".join(piece.text for piece in said)
    assert "" == stream.finish()


def test_stop_strings_wait_for_min_tokens() -> None:
    """One that ends within the first tokens does not stop."""
    tokenizer = tiny_tokenizer()
    tokens = tokenizer.encode("aaa", add_special_tokens=False).ids
    assert 3 == len(tokens)
    stream = TextStream(
        _Decoder(tokenizer), StopConditions(max_tokens=9, min_tokens=2, strings=("a",))
    )
    assert [None, None, "a"] == [stream.push(token).stopped_by for token in tokens]


def test_what_may_become_a_stop_string_is_sent_at_the_end() -> None:
    """Held text is given out if the answer ends otherwise."""
    tokenizer = tiny_tokenizer()
    tokens = tokenizer.encode("the mil", add_special_tokens=False).ids
    stop = StopConditions(max_tokens=9, strings=("mill",))
    assert "the mil" == "".join(_pieces(tokenizer, tokens, stop))
