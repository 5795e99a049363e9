"""Tests of masks: what is looked for is found whatever is around it, and nothing of it is left."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.masking.masks import Masks, masks_of
from headrace.masking.patterns import has_check_digit

ALL = masks_of(["email", "phone", "card", "iban", "ip", "id"])
KEY = b"0123456789abcdef"


def masked(text: str, masks: Masks = ALL) -> str | None:
    """The text as it is written."""
    return masks.apply(text, "input:text").text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("write to Ann.Lee+x@mail.example.org.", "write to [email]."),
        ("müller@bücher.example, ok", "[email], ok"),
        ("4111 1111 1111 1111 exp 12/27", "[card] exp 12/27"),
        ("card4111111111111111", "card[card]"),
        ("5500-0000-0000-0004 123", "[card] 123"),
        ("7 4111111111111111", "7 [card]"),
        ("DE89 3704 0044 0532 0130 00 PLEASE PAY", "[iban] PLEASE PAY"),
        ("gb82west12345698765432", "[iban]"),
        ("from 192.168.1.20.", "from [ip]."),
        ("at 2001:db8::ff00:42:8329, port", "at [ip], port"),
        ("::1 is home", "[ip] is home"),
        ("+49 (0)30 901820", "[phone]"),
        ("call (555) 123-4567 now", "call [phone] now"),
        ("030 / 901820", "[phone]"),
        ("0049 30 901820", "[phone]"),
        ("ssn 078-05-1120", "ssn [id]"),
        ("6f1c3f9e-8f3b-4e63-9c57-2b8e9a1f0c11 failed", "[id] failed"),
        ("passport AB1234567", "passport [id]"),
    ],
)
def test_what_is_found(text: str, expected: str) -> None:
    """Each in the company in which it comes."""
    assert expected == masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-01-05 at 12:30:45 it was 21.5",
        "version 1.2.3 of 4111 rows",
        "0.4111111111111111",
        "GB00 WEST is no account",
        "300.1.1.1",
        "a:b and @home",
        "1, 2, 3 and 40 000",
    ],
)
def test_what_is_left_alone(text: str) -> None:
    """Dates, times, versions and plain numbers."""
    assert text == masked(text)


@settings(max_examples=60, deadline=None)
@given(
    st.text(alphabet=" abc,;!?äé\n", max_size=20),
    st.from_regex(r"\A[a-z][a-z0-9._]{0,20}@[a-z]{1,10}\.(?:org|example)\Z"),
    st.integers(10**11, 10**18),
    st.ip_addresses(),
    st.text(alphabet=" abc,;!?äé\n", max_size=20),
)
def test_nothing_is_left_of_what_is_found(
    before: str, email: str, number: int, address: object, after: str
) -> None:
    """An address of mail, a card's number and an address of the network, among any words."""
    card = next(f"{number}{digit}" for digit in range(10) if has_check_digit(f"{number}{digit}"))
    text = masked(f"{before} {email} {card} {address} {after}")
    assert text is not None
    assert email not in text
    assert card not in text
    assert f" {address} " not in text
    assert ["[email]", "[card]", "[ip]"] == [name for name in text.split() if name.startswith("[")][
        :3
    ]


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200))
def test_masking_ends_and_masks_once(text: str) -> None:
    """Any text is taken, and what is masked is not masked again."""
    once = masked(text)
    assert once is not None
    assert once == masked(once)


def test_hashes_are_alike_for_the_same_and_only_with_the_key() -> None:
    """Spaces do not matter; another key makes another hash, and without one nothing starts."""
    masks = masks_of(["card=hash"], key=KEY)
    first, second = masked("4111 1111 1111 1111", masks), masked("4111111111111111", masks)
    other = masked("4111111111111111", masks_of(["card=hash"], key=KEY[::-1]))
    assert first == second != other
    assert first is not None
    assert first.startswith("[card:")
    with pytest.raises(ValueError, match="--payload-key-file"):
        masks_of(["card=hash"])


def test_rules_of_fields_and_own_patterns() -> None:
    """A field is masked as a whole or dropped; a pattern of one's own is looked for first."""
    masks = masks_of(
        ["email=drop", "input:name", "prompt=drop"], {"customer": (r"C-\d{6}", "mask")}
    )
    assert ("[value]", True) == masks.apply("Ann", "input:name")
    assert (None, True) == masks.apply("hello", "prompt")
    assert (None, True) == masks.apply("a@b.org", "input:text")
    assert ("of [customer]", True) == masks.apply("of C-123456", "input:text")
    assert ("a@b.org", False) == masks_of(["none"]).apply("a@b.org", "input:text")


@pytest.mark.parametrize("rule", ["mail", "email=hide", "input:", "none=mask"])
def test_rules_that_are_none(rule: str) -> None:
    """They are refused with what is allowed."""
    with pytest.raises(ValueError, match="expected"):
        masks_of([rule])
