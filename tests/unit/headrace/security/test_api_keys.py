"""API keys: what they look like, and what is kept of them."""

import re

import pytest

from headrace.security.api_keys import digest_of, id_of, make_key


def test_a_key_has_its_form_and_no_two_are_alike() -> None:
    keys = {make_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"hr_[a-z0-9]{8}_[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}", key) for key in keys)


def test_the_id_is_read_from_a_key() -> None:
    key = make_key()
    assert id_of(key) == key[3:11]


@pytest.mark.parametrize("place", [0, 3, 12, 30, 55, 60])
def test_a_typo_makes_it_no_key(place: int) -> None:
    key = make_key()
    other = "x" if key[place] != "x" else "y"
    assert id_of(key[:place] + other + key[place + 1 :]) == ""


@pytest.mark.parametrize("text", ["", "hr_", "hr_abc_def", "x" * 5000])
def test_other_texts_are_no_keys(text: str) -> None:
    assert id_of(text) == ""


def test_the_digest_does_not_hold_the_key() -> None:
    key = make_key()
    assert key[12:] not in digest_of(key)
    assert digest_of(key) == digest_of(key) != digest_of(make_key())
