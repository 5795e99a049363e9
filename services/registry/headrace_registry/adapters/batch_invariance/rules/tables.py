"""Classical models: tables of [rows, features]."""

from __future__ import annotations

from headrace_registry.adapters.batch_invariance.nodes import CLASSICAL, Node, Result, rule
from headrace_registry.adapters.batch_invariance.rules.normalization import rows_first
from headrace_registry.adapters.batch_invariance.sizes import fresh, product
from headrace_registry.adapters.batch_invariance.values import (
    CONSTANT,
    NotProvenError,
    Value,
    rows,
)


def _table(node: Node) -> Value:
    x = rows_first(node)
    node.require_constants(but=[0])
    if x.rank != 2:  # an input of rank 1 is one row
        raise NotProvenError("has an input that is not [rows, features]")
    return x


@rule("TreeEnsembleClassifier LinearClassifier SVMClassifier", CLASSICAL)
def classifier(node: Node) -> Result:
    x = _table(node)
    return [rows([x.row_size], 0), rows([x.row_size, fresh()], 0)]


@rule("TreeEnsembleRegressor TreeEnsemble LinearRegressor SVMRegressor", CLASSICAL)
def regressor(node: Node) -> Result:
    return rows([_table(node).row_size, fresh()], 0)


@rule("Scaler Normalizer Imputer", CLASSICAL)
def scaled(node: Node) -> Result:
    return _table(node)


@rule("OneHotEncoder", CLASSICAL)
def one_hot_encoder(node: Node) -> Result:
    x = rows_first(node)
    return rows([*x.known_shape, fresh()], 0)


@rule("ArrayFeatureExtractor", CLASSICAL)
def array_feature_extractor(node: Node) -> Result:
    data = node.given(0)
    if data.kind is CONSTANT:  # a table of classes by the classes' numbers
        return _looked_up(data, node.rows_at(1))
    return rows([_table(node).row_size, fresh()], 0)


def _looked_up(data: Value, index: Value) -> Value:
    if product(index.known_shape[: index.axis]) != 1:
        raise NotProvenError("has indices whose rows are not one after the other")
    lead = data.known_shape[:-1] or (1,)
    return rows([*lead, product(index.known_shape)], len(lead))
