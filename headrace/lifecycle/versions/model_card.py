"""Drafts of model cards: what is known of a version as Markdown, and what is not as questions to answer."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from headrace.lifecycle.versions.comparison import Described, tensor_text

if TYPE_CHECKING:
    from headrace.client import Lineage, Metric, Version, VersionReference
    from headrace.state.language_records import LanguageFacts

_MOST_FIELDS = 40
_MOST_TENSORS = 20


def draft_card(described: Described, aliases: Sequence[str] = ()) -> str:
    """A model card of a version, in Markdown: lines in italics ask for what only people know.

    All that others wrote is escaped: it stays text, whatever shows the card.
    """
    version = described.version
    parts = (
        _head(described, aliases),
        _use(version),
        _tensors(version),
        _serving(version),
        _lineage(described.said.lineage),
        _metrics(described.said.metrics),
        _reference(described.reference),
        _limits(version),
    )
    return "\n".join(line for part in parts for line in part)


def _head(described: Described, aliases: Sequence[str]) -> Iterator[str]:
    version, said = described.version, described.said
    yield f"# {_text(version.model)}, version {version.number}"
    yield ""
    yield (
        _text(version.description) or "*What does it do, for whom, and why was this version made?*"
    )
    yield ""
    rows = [
        ("Kind", version.kind.value),
        ("Pushed", _day(version.created_at)),
        ("Digest", f"`{version.digest}`"),
        ("Size", f"{version.size_bytes:,} bytes in {len(version.files)} file(s)"),
        ("Signed", "yes" if version.signature_bundle else "no"),
        ("Aliases", ", ".join(map(_text, aliases))),
        *((_text(key), _text(value)) for key, value in said.tags.items()),
    ]
    yield from _table(("", ""), ((name, value) for name, value in rows if value))
    yield "*Who answers for it, and how are they reached?*"
    yield "*Under which licence are the model and its data?*"
    yield ""


def _use(version: Version) -> Iterator[str]:
    yield "## Use"
    yield ""
    yield "*Which decisions is it meant for? Which is it not meant for?*"
    yield "*Who is affected by its errors, and what is done about a wrong answer?*"
    yield ""
    yield "```sh"
    yield f"headrace infer {version.model} --version {version.number} --help"
    yield "```"
    yield ""


def _tensors(version: Version) -> Iterator[str]:
    signature, facts = version.signature, version.language
    yield "## Inputs and outputs"
    yield ""
    if facts is not None:
        yield from _text_facts(facts)
        return
    rows = [
        *(("input", each) for each in signature.inputs),
        *(("optional input", each) for each in signature.optional_inputs),
        *(("output", each) for each in signature.outputs),
    ]
    listed = ((noun, _text(each.name), tensor_text(each)) for noun, each in rows[:_MOST_TENSORS])
    yield from _table(("", "name", "datatype and shape"), listed)
    if len(rows) > _MOST_TENSORS:
        yield f"... and {len(rows) - _MOST_TENSORS} more."
    yield "*What does each mean, in which unit, and how is it prepared?*"
    yield ""


def _text_facts(facts: LanguageFacts) -> Iterator[str]:
    yield f"Texts of up to {facts.context_length:,} tokens; {_text(facts.architecture)}."
    yield ""
    yield "*Which languages and subjects is it for?*"
    yield ""


def _serving(version: Version) -> Iterator[str]:
    config = version.config
    yield "## How it is served"
    yield ""
    batches = config.batching.max_batch_size
    yield f"- batches: {f'up to {batches} rows' if batches else 'none'}"
    yield f"- instances: {config.instances or 'as each replica measures'}"
    yield f"- device: {config.provider.value}"
    yield ""


def _lineage(lineage: Lineage | None) -> Iterator[str]:
    yield "## Where it is from"
    yield ""
    if lineage is not None:
        parent = f"version {lineage.parent_version}" if lineage.parent_version else ""
        rows = (
            ("Made of", parent),
            ("By", _text(lineage.method)),
            ("Command", _text(lineage.command)),
            ("Source", _text(lineage.source_revision)),
            ("Data (SHA-256)", lineage.data_digest),
            ("Run", _text(lineage.training_run)),
            *((_text(key), _text(value)) for key, value in lineage.facts.items()),
        )
        yield from _table(("", ""), ((name, value) for name, value in rows if value))
    yield "*What data was it trained on: from whom, when, with whose consent, and what was left out?*"
    yield ""


def _metrics(metrics: Sequence[Metric]) -> Iterator[str]:
    yield "## How good it is"
    yield ""
    if metrics:
        rows = (
            (
                _text(each.name),
                f"{each.value:.6g}",
                _interval(each),
                _text(each.slice) or "all",
                _text(each.data_name) or each.data_digest[:12],
                f"{each.rows:,}" if each.rows else "",
                _day(each.measured_at),
            )
            for each in metrics
        )
        yield from _table(("metric", "value", "interval", "of", "data", "rows", "measured"), rows)
    else:
        yield "*It was not measured: `headrace evaluate` does.*"
        yield ""
    yield "*Is the data that it was measured on like the data that it gets? What does each error cost?*"
    yield ""


def _interval(metric: Metric) -> str:
    if metric.lower is None or metric.upper is None:
        return ""
    share = f" ({metric.confidence:.0%})" if metric.confidence else ""
    return f"{metric.lower:.6g} to {metric.upper:.6g}{share}"


def _reference(reference: VersionReference | None) -> Iterator[str]:
    yield "## The data that it expects"
    yield ""
    if reference is None:
        yield "*It has no reference: `headrace reference set` makes one, and drift is told against it.*"
        yield ""
        return
    origin = f", {_text(reference.origin)}" if reference.origin else ""
    yield f"Learnt of {reference.rows:,} rows{origin}:"
    yield ""
    rows = (
        (
            _text(each.name),
            each.kind,
            "" if each.lowest is None else f"{each.lowest:.6g}",
            "" if each.highest is None else f"{each.highest:.6g}",
            f"{each.missing_rate:.1%}",
            each.enforcement,
        )
        for each in reference.fields[:_MOST_FIELDS]
    )
    yield from _table(("field", "kind", "lowest", "highest", "missing", "rows that differ"), rows)
    if len(reference.fields) > _MOST_FIELDS:
        yield f"... and {len(reference.fields) - _MOST_FIELDS} more fields."
        yield ""


def _limits(version: Version) -> Iterator[str]:
    yield "## Limits"
    yield ""
    yield from (f"- {_text(notice)}" for notice in version.notices)
    if version.notices:
        yield ""
    yield "*Where does it fail? For which groups is it worse, and was that measured (`--slice`)?*"
    yield "*What would make it out of date, and who looks?*"
    yield ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table, and an empty line; nothing where it has no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if lines:
        yield f"| {' | '.join(head)} |"
        yield f"|{' --- |' * len(head)}"
        yield from lines
        yield ""


def _text(text: str) -> str:
    """A text in one line that stays text in Markdown: no tags, links, tables or emphasis."""
    line = "".join(char if char.isprintable() else " " for char in text)
    escaped = "".join(f"\\{char}" if char in "\\`*_[]|#~!" else char for char in line)
    return escaped.replace("<", "&lt;").replace(">", "&gt;")


def _day(seconds: float) -> str:
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return moment.strftime("%Y-%m-%d")
