"""Shows explanations on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.cli import output
from headrace.cli.error_report import printable

if TYPE_CHECKING:
    from headrace.lifecycle.explanation import Attribution, Explanation

SHOWN = 20


def explanation_lines(found: Explanation) -> list[Any]:
    """What people are told of an explanation."""
    from headrace.lifecycle.explanation.ranking import title_of

    return [
        printable(title_of(found)),
        f"baseline: {printable(found.baseline)}",
        "",
        *([_coloured(found), ""] if found.text is not None else []),
        _features(found),
        "",
        *_methods(found),
        *_agreement(found),
        *(f"note: {printable(note)}" for note in found.notes),
        f"asked {found.rows:,} rows in {found.requests:,} requests",
    ]


def _features(found: Explanation) -> Any:
    from headrace.lifecycle.explanation.ranking import largest

    heads = ["patch" if found.grid else "feature", "value"]
    heads += [f"{each.method}>" for each in found.attributions]
    rows = [
        (
            found.features[place].name,
            found.features[place].value if found.text is None else "",
            *(_value(each, place) for each in found.attributions),
        )
        for place in largest(found, SHOWN)
    ]
    left = len(found.features) - len(rows)
    more = (f"and {left} more", *("" for _ in heads[1:]))
    return output.table(heads, [*rows, more] if left else rows)


def _value(each: Attribution, place: int) -> str:
    error = f" ± {each.standard_errors[place]:.2g}" if each.standard_errors else ""
    return f"{each.values[place]:+.4g}{error}"


def _methods(found: Explanation) -> list[Any]:
    heads = ("method", "rows>", "requests>", "misses>", "halves>", "")
    rows = [
        (
            each.method,
            each.rows,
            each.requests,
            "" if each.gap is None else f"{each.gap:.2g}",
            "" if each.stability is None else f"{each.stability:.2f}",
            "; ".join([*(["exact"] if each.exact else []), *each.notes]),
        )
        for each in found.attributions
    ]
    return [output.table(heads, rows)]


def _agreement(found: Explanation) -> list[Any]:
    if not found.agreements:
        return []
    heads = ("agreement", "ranks>", "largest>", "signs>")
    rows = [
        (
            f"{each.one}, {each.other}",
            _number(each.rank_correlation),
            f"{each.top_overlap:.0%} of {each.top}",
            f"{each.same_sign:.0%}",
        )
        for each in found.agreements
    ]
    return ["", output.table(heads, rows), ""]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _coloured(found: Explanation) -> Any:
    """The text, its words on blue where they add and on orange where they take away."""
    from rich.text import Text

    from headrace.lifecycle.explanation.ranking import leading
    from headrace.lifecycle.explanation.tokens import tokens_of

    values = leading(found).values
    bound = max(map(abs, values), default=0.0) or 1.0
    made, end, text = Text(), 0, found.text or ""
    for token, value in zip(tokens_of(text), values, strict=True):
        made.append(printable(token.before))
        made.append(token.text, style=_style(value / bound))
        end = token.start + len(token.text)
    made.append(printable(text[end:]))
    return made


def _style(share: float) -> str:
    if abs(share) < 0.1:
        return ""
    colour = "blue" if share > 0 else "dark_orange3"
    return f"bold white on {colour}" if abs(share) > 0.5 else colour
