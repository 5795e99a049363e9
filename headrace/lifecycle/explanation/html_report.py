"""Explanations as HTML: one page that needs nothing else, without scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from headrace.lifecycle.explanation.explanation import Explanation
from headrace.lifecycle.explanation.ranking import largest, leading, title_of
from headrace.lifecycle.explanation.sample_explanation import SampleExplanation
from headrace.lifecycle.explanation.tokens import tokens_of
from headrace.lifecycle.reports.pages import figure, page, table

ROWS = 100


def html_report(explanation: Explanation, png: bytes = b"") -> str:
    """The explanation as a page, with its plot."""
    cost = f"{explanation.rows:,} rows in {explanation.requests:,} requests"
    parts = [
        f"<p>Baseline: {escape(explanation.baseline)}. Asked: {cost}.</p>",
        *_texts(explanation),
        figure(png, "The plot of the explanation"),
        "<h2>Features</h2>",
        _features(explanation),
        "<h2>Methods</h2>",
        _methods(explanation),
        *_agreement(explanation),
        *(f'<p class="note">{escape(note)}</p>' for note in _notes(explanation)),
    ]
    return page(title_of(explanation), parts)


def _texts(explanation: Explanation) -> Iterator[str]:
    if explanation.text is not None:
        weights = leading(explanation)
        yield f"<p>Words by {escape(weights.method)}: blue adds to the answer, orange takes away.</p>"
        yield f'<p class="text">{_marked(explanation.text, weights.values)}</p>'


def _marked(text: str, values: Sequence[float]) -> str:
    bound = float(np.abs(values).max(initial=0.0)) or 1.0
    parts, end = [], 0
    for token, value in zip(tokens_of(text), values, strict=True):
        colour = "0,114,178" if value >= 0 else "213,94,0"
        strength = min(1.0, abs(value) / bound) * 0.7
        parts.append(escape(token.before))
        parts.append(
            f'<mark title="{value:+.4g}" style="background:rgba({colour},{strength:.2f})">'
            f"{escape(token.text)}</mark>"
        )
        end = token.start + len(token.text)
    return "".join(parts) + escape(text[end:])


def _features(explanation: Explanation) -> str:
    shown = largest(explanation, ROWS)
    rows = [
        (
            explanation.features[place].name,
            explanation.features[place].value,
            *(float(each.values[place]) for each in explanation.attributions),
        )
        for place in shown
    ]
    left = len(explanation.features) - len(shown)
    heads = ("feature", "value", *(each.method for each in explanation.attributions))
    return table(heads, rows) + (
        f"<p>and {left:,} more features of less weight</p>" if left else ""
    )


def _methods(explanation: Explanation) -> str:
    heads = ("method", "sum", "missed", "stability", "rows", "requests", "notes")
    return table(
        heads,
        (
            (
                f"{each.method}{', exact' if each.exact else ''}",
                float(sum(each.values)),
                each.gap,
                each.stability,
                each.rows,
                each.requests,
                "; ".join(each.notes),
            )
            for each in explanation.attributions
        ),
    )


def _agreement(explanation: Explanation) -> Iterator[str]:
    if explanation.agreements:
        yield "<h2>Agreement of methods</h2>"
        heads = ("methods", "rank correlation", "same among the largest", "same sign")
        yield table(
            heads,
            (
                (
                    f"{each.one}, {each.other}",
                    each.rank_correlation,
                    f"{each.top_overlap:.0%} of {each.top}",
                    f"{each.same_sign:.0%}",
                )
                for each in explanation.agreements
            ),
        )


def _notes(explanation: Explanation) -> Iterator[str]:
    yield from explanation.notes
    yield (
        "An attribution tells what the model's answer hangs on, against this baseline; not what causes "
        "what in the world."
    )


def sample_report(explanation: SampleExplanation, png: bytes = b"") -> str:
    """What a model hangs on over a sample, as a page."""
    where = f"{explanation.model}/{explanation.version}: " if explanation.model else ""
    what = f"{explanation.explained_rows:,} rows{explanation.data and f' of {explanation.data}'}"
    loss = ""
    if explanation.loss_value is not None:
        loss = f" The {explanation.loss} of the rows is {explanation.loss_value:.4g}."
    cost = f"{explanation.rows:,} rows in {explanation.requests:,} requests"
    how = f"{explanation.output} ({explanation.scale}) by {explanation.method}, over {what}"
    parts = [
        f"<p>{escape(how)}; baseline: {escape(explanation.baseline)}.</p>",
        f"<p>{escape(loss)} Asked: {cost}.</p>",
        figure(png, "Features by weight, and curves of the first"),
        "<h2>Features</h2>",
        _weights(explanation),
        *_classes(explanation),
        *(f'<p class="note">{escape(note)}</p>' for note in explanation.notes),
    ]
    return page(f"{where}what answers hang on", parts)


def _weights(explanation: SampleExplanation) -> str:
    rows = []
    for place in explanation.order()[:ROWS]:
        told = explanation.importances[place] if explanation.importances else None
        rows.append(
            (
                explanation.features[place],
                explanation.mean_amounts[place],
                explanation.mean_values[place],
                told.loss if told else None,
                told.deviation if told else None,
            )
        )
    heads = ("feature", "mean amount", "mean", f"{explanation.loss} added when shuffled", "±")
    return table(heads, rows)


def _classes(explanation: SampleExplanation) -> Iterator[str]:
    if len(explanation.by_class) > 1:
        yield "<h2>Mean amounts by predicted class</h2>"
        names = [
            f"{name} ({explanation.rows_by_class[name]} rows)" for name in explanation.by_class
        ]
        rows = (
            (explanation.features[place], *(each[place] for each in explanation.by_class.values()))
            for place in explanation.order()[:ROWS]
        )
        yield table(("feature", *names), rows)
