"""Texts: each cut into tokens, as many columns as the longest has, and counted."""

from __future__ import annotations

from dataclasses import replace

from headrace_registry.adapters.batch_invariance.nodes import MICROSOFT, Node, Result, Rule, rule
from headrace_registry.adapters.batch_invariance.rules.normalization import rows_first
from headrace_registry.adapters.batch_invariance.sizes import fresh
from headrace_registry.adapters.batch_invariance.values import NotProvenError, Value, rows


@rule("StringNormalizer")
def string_normalizer(node: Node) -> Result:
    x = rows_first(node)
    if node.attribute("stopwords"):
        raise NotProvenError("leaves rows out")
    if x.rank != 1:  # [1, C] is one row, whatever is in it
        raise NotProvenError("has an input that is not [rows]")
    return x


@rule("StringSplit")
def string_split(node: Node) -> Result:
    x = _texts(node)
    return [_padded(x, ""), x]


@rule("Tokenizer", MICROSOFT)
def tokenizer(node: Node) -> Result:
    return _padded(_texts(node), node.attribute("pad_value", ""))


def _texts(node: Node) -> Value:
    x = rows_first(node)
    if x.rank != 1:
        raise NotProvenError("has an input that is not [rows]")
    return x


def _padded(x: Value, padding: str) -> Value:
    return replace(rows([x.row_size, fresh()], 0), padding=padding)


@rule("TfIdfVectorizer")
def tf_idf_vectorizer(node: Node) -> Result:
    x = rows_first(node)
    if x.rank != 2:  # an input of rank 1 is one row
        raise NotProvenError("has an input that is not [rows, tokens]")
    if x.padding is not None and _counts(node, x.padding):
        raise NotProvenError("counts what fills rows up to the length of the longest")
    return rows([x.row_size, fresh()], 0)


def _counts(node: Node, token: str) -> bool:
    """Return whether the token is in what is counted. Pools of numbers count no texts."""
    return token.encode() in node.attribute("pool_strings", [])


def _passed_on(node: Node) -> Result:
    x = node.given(0)
    if node.operator == "Flatten" and (x.rank != 2 or node.attribute("axis", 1) not in (1, -1)):
        raise NotProvenError("moves what fills rows up to the length of the longest")
    return x


PADDED_RULES: dict[tuple[str, str], Rule] = {
    ("", "TfIdfVectorizer"): tf_idf_vectorizer,
    ("", "Flatten"): _passed_on,
    ("", "Identity"): _passed_on,
}
"""The rules for rows that are filled up to the length of the longest: no others take such."""
