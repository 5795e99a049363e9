"""The filters of chat templates: jinja2's own, counted; those that could make too much, written anew."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from headrace.language.chats.template_budget import BUDGET, TemplateTooCostly, counted

FILTERS = (
    "abs",
    "attr",
    "capitalize",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "first",
    "float",
    "groupby",
    "int",
    "items",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "reverse",
    "safe",
    "select",
    "selectattr",
    "sort",
    "string",
    "sum",
    "title",
    "trim",
    "truncate",
    "unique",
    "upper",
    "wordcount",
)
"""jinja2's own that make no more than they get; those that could are written anew below, or left out."""
_WIDTHS = re.compile(r"\d{4,}|\*|:[^}]*\{")
"""In a format: four digits, or a width that is an argument."""
_MOST_FORMAT = 4000
"""Characters of a format."""


def held(value: Any) -> Any:
    """Count what `{{ }}` writes, before it becomes text; a list or a slice that was made; a comparison."""
    budget = BUDGET.get()
    budget.step()
    return budget.hold(value)


def counted_filter(name: str, function: Any) -> Any:
    """A filter of jinja2's own that is counted. What it asks of its environment it still gets."""

    def count(*args: Any, **kwargs: Any) -> Any:
        budget = BUDGET.get()
        budget.step()
        if name == "sum" and not isinstance(kwargs.get("start", 0), int | float):
            raise TemplateTooCostly("it sums what is no number")
        result = function(*args, **kwargs)
        return budget.hold(result)

    for mark in ("jinja_pass_arg", "jinja_async_variant"):
        if hasattr(function, mark):
            setattr(count, mark, getattr(function, mark))
    return count


def _join(value: Any, d: str = "", attribute: str | int | None = None) -> str:
    budget = BUDGET.get()
    budget.step()
    parts = list(value)
    if attribute is not None:
        parts = [_attribute(one, attribute) for one in parts]
    texts = [one if isinstance(one, str) else str(budget.hold(one)) for one in parts]
    budget.charge(len(str(d)) * len(texts))
    return str(d).join([budget.hold(one) for one in texts])


def _attribute(value: Any, name: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(name, "")
    return value[name] if isinstance(value, list | tuple) and isinstance(name, int) else ""


def _replace_filter(value: Any, old: str, new: str, count: int = -1) -> str:
    budget = BUDGET.get()
    budget.step()
    text = str(budget.hold(value))
    budget.charge(replaced_length(text, [old, new]))
    return text.replace(str(old), str(new), count)


def _indent(value: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:  # noqa: FBT001
    budget = BUDGET.get()
    budget.step()
    text = str(budget.hold(value))
    if isinstance(width, int):
        budget.charge(max(0, width))
        width = " " * width
    lines = text.split("\n")
    budget.charge(len(width) * len(lines))
    return "\n".join(
        width + line if (place or first) and (line or blank) else line
        for place, line in enumerate(lines)
    )


def _format(value: Any, *args: Any, **kwargs: Any) -> str:
    text = str(value)
    budget = BUDGET.get()
    budget.step()
    check_format(text, "%", [*args, *kwargs.values()])
    return budget.hold(text % (kwargs or args))


def _round(value: float, precision: int = 0, method: str = "common") -> float:
    if method != "common" or abs(precision) > 20:
        raise TemplateTooCostly("it rounds to more than 20 digits, or not to the nearest")
    return round(value, precision) if precision else float(round(value))


def _tojson(
    value: Any,
    ensure_ascii: bool = False,  # noqa: FBT001  as transformers has it
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,  # noqa: FBT001
) -> str:
    budget = BUDGET.get()
    budget.step()
    budget.hold(value)
    if (indent or 0) > 16 or any(len(one) > 16 for one in separators or ()):
        raise TemplateTooCostly("it writes JSON with too much between its parts")
    return budget.hold(
        json.dumps(
            value,
            ensure_ascii=ensure_ascii,
            indent=indent,
            separators=separators,
            sort_keys=sort_keys,
        )
    )


def check_format(text: str, mark: str, values: Any) -> None:
    """Refuse large widths, and count the values as often as they may be written."""
    if len(text) > _MOST_FORMAT or _WIDTHS.search(text):
        raise TemplateTooCostly("it formats with a large width, or one that is an argument")
    budget = BUDGET.get()
    budget.charge(text.count(mark) * budget.weigh(values))


def replaced_length(text: str, given: list[Any]) -> int:
    """The characters that replacing makes, at most."""
    old, new = (str(one) for one in given[:2]) if len(given) >= 2 else ("", "")
    return len(text) + (text.count(old) if old else len(text) + 1) * len(new)


def text_length(value: Any) -> int:
    return len(value) if isinstance(value, str) else 0


OWN_FILTERS: dict[str, Callable[..., Any]] = {
    "_counted": lambda values: counted(values, BUDGET.get()),
    "_held": held,
    "_joined": lambda parts: BUDGET.get().join(
        part if isinstance(part, str) else str(BUDGET.get().hold(part)) for part in parts
    ),
    "format": _format,
    "indent": _indent,
    "join": _join,
    "replace": _replace_filter,
    "round": _round,
    "tojson": _tojson,
}
