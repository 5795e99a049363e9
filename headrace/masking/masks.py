"""Masks what rules name, before anything of it is written."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from headrace.masking.patterns import PATTERNS, Finder, finder_of

_LETTERS = "abcdefghijklmnop"
_HASH_LETTERS = 20
"""80 bits: two of a million values are alike by a chance of one in 10^12."""
_JOINTS = re.compile(r"[\s.()/-]")


@dataclass(frozen=True, slots=True)
class FieldKinds:
    """Which fields rules may name: those of a kind, as input:NAME, and those that are there once."""

    named: tuple[str, ...]
    alone: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        """Return whether it is such a field."""
        kind, colon, rest = name.partition(":")
        return name in self.alone or (kind in self.named and bool(colon) and bool(rest))

    def __str__(self) -> str:
        """They, for people."""
        return ", ".join([*(f"{kind}:NAME" for kind in self.named), *self.alone])


OF_REQUESTS = FieldKinds(
    ("input", "output", "header", "parameter"), ("prompt", "answer", "request_id")
)


class Action(StrEnum):
    """What is done with what a rule finds."""

    MASK = "mask"
    """A name takes its place: [email]."""
    HASH = "hash"
    """A keyed hash takes its place, the same for the same: [email:kfbmlegj...]."""
    DROP = "drop"
    """The whole value that it is in goes."""


class Masked(NamedTuple):
    """A text as it may be written; None: not at all."""

    text: str | None
    changed: bool


@dataclass(frozen=True, slots=True)
class PatternRule:
    """Something that is looked for in every text."""

    name: str
    find: Finder
    action: Action


@dataclass(frozen=True, slots=True)
class Masks:
    """The rules of a replica. `key` is that of the hashes."""

    patterns: Sequence[PatternRule] = ()
    fields: Mapping[str, Action] = field(default_factory=dict)
    """By what it is, as input:ssn: all of its values."""
    key: bytes = b""

    @property
    def look_into_texts(self) -> bool:
        """Return whether what is no text has to stay out."""
        return bool(self.patterns)

    def apply(self, text: str, where: str) -> Masked:
        """Mask a text of this field."""
        action = self.fields.get(where)
        if action is Action.DROP:
            return Masked(None, changed=True)
        if action is not None:
            return Masked(self._instead("value", text, action), changed=True)
        changed = False
        for rule in self.patterns:
            parts, at = [], 0
            for start, end in _apart(rule.find(text)):
                if rule.action is Action.DROP:
                    return Masked(None, changed=True)
                parts += [text[at:start], self._instead(rule.name, text[start:end], rule.action)]
                at = end
            if parts:
                text, changed = "".join([*parts, text[at:]]), True
        return Masked(text, changed)

    def _instead(self, name: str, found: str, action: Action) -> str:
        if action is Action.MASK:
            return f"[{name}]"
        plain = _JOINTS.sub("", found.casefold()) if name != "email" else found.casefold()
        digest = hmac.digest(self.key, plain.encode(errors="surrogatepass"), hashlib.sha256).hex()
        letters = "".join(_LETTERS[int(digit, 16)] for digit in digest[:_HASH_LETTERS])
        return f"[{name}:{letters}]"


def _apart(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in order, without those that begin in another."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if not found or start >= found[-1][1]:
            found.append((start, end))
    return found


def masks_of(
    rules: Sequence[str],
    regexes: Mapping[str, tuple[str, str]] | None = None,
    key: bytes = b"",
    kinds: FieldKinds = OF_REQUESTS,
) -> Masks:
    """Read rules such as `email`, `card=hash` and `input:ssn=drop`; `none` alone has no rule.

    `regexes` are patterns of one's own by name, with their actions; `kinds` are the fields that may be
    named. Raises ValueError for anything else,
    and where something is to be hashed without a key.
    """
    actions = {} if list(rules) == ["none"] else dict(_read(rule, kinds) for rule in rules)
    own = {
        name: (_compiled(name, text), _action(name, do))
        for name, (text, do) in (regexes or {}).items()
    }
    patterns = [PatternRule(name, *each) for name, each in own.items()]
    patterns += [
        PatternRule(name, find, actions[name]) for name, find in PATTERNS.items() if name in actions
    ]
    fields = {name: action for name, action in actions.items() if name not in PATTERNS}
    hashes = any(rule.action is Action.HASH for rule in patterns) or Action.HASH in fields.values()
    if hashes and not key:
        raise ValueError(
            "a rule hashes: name the file of a key (--payload-key-file of a replica, --key-file "
            "of a command)"
        )
    return Masks(patterns, fields, key)


def _read(rule: str, kinds: FieldKinds) -> tuple[str, Action]:
    name, separator, action = rule.partition("=")
    if not (name in PATTERNS or kinds.has(name)):
        raise ValueError(
            f"{rule!r}: one of {', '.join(PATTERNS)}, or a field ({kinds}) is expected, with =mask, =hash "
            "or =drop behind it; or none alone"
        )
    name = name.lower() if name.startswith("header:") else name
    return name, _action(rule, action) if separator else Action.MASK


def _action(rule: str, text: str) -> Action:
    try:
        return Action(text)
    except ValueError:
        raise ValueError(f"{rule!r}: mask, hash or drop is expected, not {text!r}") from None


def _compiled(name: str, text: str) -> Finder:
    try:
        return finder_of(re.compile(text))
    except re.error as error:
        raise ValueError(f"{name!r} is no regular expression: {error}") from None
