"""A rule as a file has it."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from headrace.alert_rules.rules import AnyRule

_FIRST = ("name", "kind", "severity")


def rule_toml(rule: AnyRule) -> str:
    """Return a rule as a table of TOML, with all that it has; it can be put into a file."""
    found: dict[str, Any] = msgspec.to_builtins(rule)
    ordered = {key: found[key] for key in _FIRST} | {
        key: found[key] for key in sorted(found) if key not in _FIRST
    }
    lines = [f"{key} = {_value(value)}" for key, value in ordered.items() if value is not None]
    return "\n".join(["[[rules]]", *lines]) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)  # of texts, numbers and truth, TOML's form, too
