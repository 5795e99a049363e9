"""Keys and match rules of routes as people write them: `header:x-user`, `header:x-user=ada`."""

from __future__ import annotations

from headrace import errors
from headrace.state.route_records import KeySource, MatchRule, RequestKey

PREFIX_SIGN = "^="
"""Between a key and what its text begins with; `=` stands before the whole text."""


def parse_key(text: str) -> RequestKey:
    """The key that `header:NAME` or `parameter:NAME` says. Raises InvalidArgument (KEY_MALFORMED)."""
    source, colon, name = text.partition(":")
    if not colon or not name or source not in (KeySource.HEADER, KeySource.PARAMETER):
        raise _malformed(text, "a key of a request", "header:NAME or parameter:NAME")
    return RequestKey(KeySource(source), name.lower() if source == KeySource.HEADER else name)


def parse_rule(text: str, version: int) -> MatchRule:
    """The rule for a version that `KEY=TEXT` or, for a beginning, `KEY^=TEXT` says.

    Raises InvalidArgument (KEY_MALFORMED).
    """
    key, equals, value = text.partition("=")
    if not equals or not value:
        raise _malformed(
            text,
            "a match of a request",
            "header:NAME=TEXT, or header:NAME^=TEXT for what it begins with (parameter:NAME likewise)",
        )
    if key.endswith("^"):
        return MatchRule(parse_key(key[:-1]), version, prefix=value)
    return MatchRule(parse_key(key), version, equals=value)


def describe_rule(rule: MatchRule) -> str:
    """The rule as `parse_rule` reads it, without its version."""
    return f"{rule.key}{PREFIX_SIGN}{rule.prefix}" if rule.prefix else f"{rule.key}={rule.equals}"


def _malformed(text: str, noun: str, form: str) -> errors.InvalidArgument:
    return errors.InvalidArgument("KEY_MALFORMED", f"{text[:200]!r} is not {noun}: write {form}")
