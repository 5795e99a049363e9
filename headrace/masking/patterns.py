"""Finds what people do not want in logs: addresses, numbers of phones, cards and accounts, ids.

All take a time in proportion to the text. Where it is unclear, more is found rather than less.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping

Span = tuple[int, int]
Finder = Callable[[str], Iterator[Span]]

_EMAIL = re.compile(r"(?<![\w.%+'-])[\w.%+'-]+@[\w-]+(?:\.[\w-]+)*")
_DIGITS = re.compile(r"(?<!\d)(?<!\d\.)\d(?:[ -]?\d){11,}")
_GROUP = re.compile(r"\d+")
_CARD_DIGITS = range(12, 20)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,60}")
_IBAN_LENGTHS = range(15, 35)
_IPV4 = re.compile(r"(?<!\d)(?<!\d\.)\d{1,3}(?:\.\d{1,3}){3}(?!\.?\d)")
_IPV6 = re.compile(r"(?<![\w:])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
_PHONE = re.compile(
    r"(?<!\w)(?:\+|00)[1-9](?:[ ()./-]{0,2}\d){6,14}(?!\d)"  # international
    r"|(?<![\w.])\(?\d{3}\)?[ .-]{0,2}\d{3}[ .-]\d{4}(?!\d)"  # of North America
    r"|(?<![\w.])\(?0\d{1,5}\)?[ ./-]{1,3}\d{2,}(?:[ ./-]?\d){2,10}(?!\d)"  # with a dialling code
    r"|(?<![\w.])0\d{8,11}(?!\d)"
)
_ID = re.compile(
    r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}(?![0-9A-Fa-f])"  # UUID
    r"|(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)"  # of social security in the United States
    r"|(?<![A-Za-z0-9])[A-Za-z]{1,3}\d{6,12}[A-Za-z]?(?![A-Za-z0-9])"  # of passports and customers
    r"|(?<![\d.])\d{9,20}(?!\.?\d)"
)


def finder_of(pattern: re.Pattern[str]) -> Finder:
    """Find what a regular expression matches; matches of nothing are none."""

    def found(text: str) -> Iterator[Span]:
        return (match.span() for match in pattern.finditer(text) if match.end() > match.start())

    return found


def cards(text: str) -> Iterator[Span]:
    """Numbers of 12 to 19 digits with Luhn's check digit, in groups or not."""
    for match in _DIGITS.finditer(text):
        groups = [group.span() for group in _GROUP.finditer(text, match.start(), match.end())]
        place = 0
        while place < len(groups):
            last = _card_from(text, groups, place)
            if last is None:
                place += 1
            else:
                yield groups[place][0], groups[last][1]
                place = last + 1


def _card_from(text: str, groups: list[Span], first: int) -> int | None:
    """The last of the groups that are a card's number together, beginning with the first."""
    digits = ""
    for place in range(first, len(groups)):
        digits += text[groups[place][0] : groups[place][1]]
        if len(digits) > _CARD_DIGITS[-1]:
            return None
        if len(digits) in _CARD_DIGITS and has_check_digit(digits):
            return place
    return None


def has_check_digit(digits: str) -> bool:
    """Tell whether Luhn's sum of a number's digits is right."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def ibans(text: str) -> Iterator[Span]:
    """International numbers of bank accounts, by their check digits."""
    at = 0
    while match := _IBAN.search(text, at):
        end = _iban_end(text, match.start(), match.end())
        if end is not None:
            yield match.start(), end
        at = match.start() + 4 if end is None else end


def _iban_end(text: str, start: int, end: int) -> int | None:
    """Where the longest account number ends that begins there: words may follow it."""
    compact, found = "", None
    for place in range(start, end):
        if text[place].isalnum():
            compact += text[place].upper()
            if len(compact) > _IBAN_LENGTHS[-1]:
                break
            if len(compact) in _IBAN_LENGTHS and _is_iban(compact):
                found = place + 1
    return found


def _is_iban(compact: str) -> bool:
    moved = compact[4:] + compact[:4]
    return int("".join(str(int(each, 36)) for each in moved)) % 97 == 1


def addresses(text: str) -> Iterator[Span]:
    """Addresses of the Internet Protocol, of both versions."""
    for match in _IPV4.finditer(text):
        if _is_address(match[0]):
            yield match.span()
    for match in _IPV6.finditer(text):
        kept = match[0].rstrip(".")
        kept = kept if kept.endswith("::") else kept.rstrip(":")
        if _is_address(kept):
            yield match.start(), match.start() + len(kept)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


PATTERNS: Mapping[str, Finder] = {
    "card": cards,
    "iban": ibans,
    "email": finder_of(_EMAIL),
    "ip": addresses,
    "id": finder_of(_ID),
    "phone": finder_of(_PHONE),
}
"""By name, in the order in which they are looked for."""
