"""A file of rules, TOML: its own rules beside those that are shipped, and who is told."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from headrace import errors
from headrace.alert_rules.durations import seconds_of
from headrace.alert_rules.receivers import AnyReceiver, Log
from headrace.alert_rules.rules import (
    AnyRule,
    BurnWindow,
    Drift,
    Errors,
    Objective,
    Quality,
    Slower,
)
from headrace.alert_rules.shipped import SHIPPED

MAX_FILE_BYTES = 256 * 1024
MAX_RULES = 500
MAX_RECEIVERS = 50
MAX_WINDOW_SECONDS = 86_400.0
"""So long a window can be evaluated by default: longer ones are not kept."""
MAX_PERIOD_SECONDS = 30 * 86_400.0

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_SECRET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DEEP = re.compile(r"""(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){30}""")
"""A key with dots takes the square of its parts to read: a minute for one of 250 kB."""
_MAX_PROBLEMS = 20
LEAST_SLOWER = 0.05
"""The tests allow for so much."""
_SHARES = ("target", "above", "quantile", "drop")
_KEYS = ("rules", "receivers", "shipped")


class Shipped(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What becomes of the shipped rules."""

    off: tuple[str, ...] = ()
    """Names of those that are off; `*` for all."""


class RuleSet(msgspec.Struct, frozen=True, kw_only=True):
    """All that is in force: rules and receivers by name, the shipped rules among them."""

    own: tuple[AnyRule, ...] = ()
    receivers: tuple[AnyReceiver, ...] = (Log(name="log"),)
    shipped: Shipped = Shipped()

    @property
    def rules(self) -> tuple[AnyRule, ...]:
        """All rules that are in force, on or off; one of a file takes the place of a shipped one."""
        names = {rule.name for rule in self.own}
        kept = (rule for rule in SHIPPED if rule.name not in names)
        return (*self.own, *(self._shipped(rule) for rule in kept))

    @property
    def active(self) -> tuple[AnyRule, ...]:
        """Those that are on."""
        return tuple(rule for rule in self.rules if rule.enabled)

    def _shipped(self, rule: AnyRule) -> AnyRule:
        is_off = "*" in self.shipped.off or rule.name in self.shipped.off
        return msgspec.structs.replace(rule, enabled=False) if is_off else rule


DEFAULT_RULES = RuleSet()
"""What is in force without a file: the shipped rules, and the log."""


def read_rules(text: str) -> RuleSet:
    """Return what a file says. Raises InvalidArgument (ALERT_RULES_INVALID) with all that is wrong."""
    problems: list[str] = []
    found = _read(text, problems)
    problems += _problems(found)
    if problems:
        more = len(problems) - _MAX_PROBLEMS
        told = problems[:_MAX_PROBLEMS] + ([f"and {more} more"] if more > 0 else [])
        raise errors.InvalidArgument(
            "ALERT_RULES_INVALID",
            f"the rules are not valid: {'; '.join(told)}",
            violations=tuple(
                errors.FieldViolation("rules", problem) for problem in problems[:_MAX_PROBLEMS]
            ),
        )
    return found


def _read(text: str, problems: list[str]) -> RuleSet:
    if len(text.encode(errors="replace")) > MAX_FILE_BYTES:
        problems.append(f"the file has more than {MAX_FILE_BYTES} bytes")
        return DEFAULT_RULES
    if _DEEP.search(text):
        problems.append("a key has more than 30 parts")
        return DEFAULT_RULES
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        problems.append(f"it is no TOML: {error}")
        return DEFAULT_RULES
    problems += [
        f"{key}: no such key; there are {', '.join(_KEYS)}" for key in document.keys() - _KEYS
    ]
    receivers = tuple(_tables(document, "receivers", AnyReceiver, problems, MAX_RECEIVERS))
    shipped = _one("shipped", document.get("shipped", {}), Shipped, problems) or Shipped()
    return RuleSet(
        own=tuple(_tables(document, "rules", AnyRule, problems, MAX_RULES)),
        receivers=receivers or DEFAULT_RULES.receivers,
        shipped=shipped,
    )


def _tables(
    document: dict[str, Any], key: str, kind: Any, problems: list[str], most: int
) -> Iterator[Any]:
    tables = document.get(key, [])
    if not isinstance(tables, list):
        problems.append(f"{key}: begin each with [[{key}]]")
        return
    if len(tables) > most:
        problems.append(f"{key}: there are {len(tables)}, at most {most} are allowed")
        return
    for place, table in enumerate(tables, 1):
        name = table.get("name", place) if isinstance(table, dict) else place
        found = _one(f"{key}.{str(name)[:63]}", table, kind, problems)
        if found is not None:
            yield found


def _one(where: str, table: object, kind: Any, problems: list[str]) -> Any:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        problems.append(f"{where}: {error}")
        return None


def _problems(found: RuleSet) -> Iterator[str]:
    yield from _names("rules", (rule.name for rule in found.own))
    yield from _names("receivers", (receiver.name for receiver in found.receivers))
    known = {receiver.name for receiver in found.receivers}
    for rule in found.own:
        for name in rule.receivers:
            if name not in known:
                yield f"rules.{rule.name}: receivers: there is no {name!r}"
        yield from (f"rules.{rule.name}: {problem}" for problem in _problems_of(rule))
    for receiver in found.receivers:
        problems = _problems_of_receiver(receiver)
        yield from (f"receivers.{receiver.name}: {problem}" for problem in problems)
    shipped = {rule.name for rule in SHIPPED} | {"*"}
    for name in found.shipped.off:
        if name not in shipped:
            yield f"shipped.off: there is no {name!r}; there are {', '.join(sorted(shipped))}"


def _names(key: str, names: Iterable[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if not _NAME.fullmatch(name):
            yield f"{key}: {name[:63]!r} is no name: up to 63 lower-case letters, digits, '-' and '_'"
        if count > 1:
            yield f"{key}: {count} have the name {name!r}"


def _problems_of(rule: AnyRule) -> Iterator[str]:
    for key, text in rule.durations().items():
        most = MAX_PERIOD_SECONDS if key == "period" else MAX_WINDOW_SECONDS
        yield from _problems_of_duration(key, text, most, least=1.0 if key == "window" else 0.0)
    match rule:
        case Objective():
            yield from (problem for window in rule.burn for problem in _problems_of_window(window))
        case Quality() if rule.below is None and rule.drop is None:
            yield "give below, or drop"
        case Errors() if rule.slices and rule.by != "slice":
            yield 'slices: give by = "slice", too'
        case Slower() if rule.above < LEAST_SLOWER:
            yield f"above: must be {LEAST_SLOWER:g} or more: less is not told from chance"
        case Drift() if rule.min_fields < 1:
            yield "min_fields: must be 1 or more"
    for key in _SHARES:
        share = getattr(rule, key, None)
        if isinstance(share, float) and not 0 <= share < 1:
            yield f"{key}: must be a share, at least 0 and below 1"


def _problems_of_window(window: BurnWindow) -> Iterator[str]:
    problems = [
        *_problems_of_duration("burn.long", window.long, MAX_WINDOW_SECONDS, least=1.0),
        *_problems_of_duration("burn.short", window.short, MAX_WINDOW_SECONDS, least=1.0),
    ]
    yield from problems
    if not problems and seconds_of(window.short) >= seconds_of(window.long):
        yield f"burn: the short window ({window.short}) must be shorter than the long ({window.long})"
    if not window.rate > 0:
        yield "burn.rate: must be above 0"


def _problems_of_duration(key: str, text: str, most: float, *, least: float) -> Iterator[str]:
    try:
        seconds = seconds_of(text)
    except ValueError as error:
        yield f"{key}: {error}"
        return
    if not least <= seconds <= most:
        yield f"{key}: {text} must be from {least:g} s to {most:g} s"


def _problems_of_receiver(receiver: AnyReceiver) -> Iterator[str]:
    yield from _problems_of_duration("repeat", receiver.repeat, MAX_PERIOD_SECONDS, least=60.0)
    for key, name in receiver.secrets().items():
        if name and not _SECRET.fullmatch(name):
            yield f"{key}: {name[:63]!r} is no file's name in the folder of secrets"
    for key, url in receiver.urls().items():
        yield from _problems_of_url(key, url)
    timeout = getattr(receiver, "timeout", "10s")
    yield from _problems_of_duration("timeout", timeout, 60.0, least=0.1)


def _problems_of_url(key: str, url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname)
        named = bool(parts.username or parts.password)
        _ = parts.port
    except ValueError:
        is_whole = named = False
    if not is_whole or len(url) > 2048 or not url.isprintable() or " " in url:
        yield f"{key}: it is no http:// or https:// URL"
    elif named:
        yield f"{key}: a name or password does not belong into it; use token_file"
