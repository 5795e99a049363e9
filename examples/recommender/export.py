"""The embeddings as a graph that ranks: a user and what they have seen in, the ten best films out."""

from __future__ import annotations

import numpy as np
import onnx

from examples.recommender.embeddings import Embeddings
from examples.recommender.ranking import TOP
from examples.recommender.ratings import Ratings
from examples.training.graph import FLOAT, INT64, TEXT, Graph


def exported(ratings: Ratings, embeddings: Embeddings) -> onnx.ModelProto:
    """Ids as callers know them. A user who is not known gets what most like; -1 among `seen` is none."""
    graph = Graph("films")
    user = graph.index(graph.input("user", INT64, 1), ratings.users, unknown=len(embeddings.users))
    stranger = np.zeros((1, embeddings.users.shape[1]), np.float32)
    table = graph.constant(np.concatenate([embeddings.users, stranger]))
    vector = graph.node("Squeeze", graph.node("Gather", table, user), graph.constant([1], np.int64))
    scores = graph.node("MatMul", vector, graph.constant(embeddings.films.T.copy()))
    scores = _without_seen(
        graph, graph.node("Add", scores, graph.constant(embeddings.popularity)), ratings
    )
    best, places = graph.nodes("TopK", scores, graph.constant([TOP], np.int64), count=2, axis=1)
    for name, values, kind in (("item", ratings.films, INT64), ("title", ratings.titles, TEXT)):
        of = graph.constant(values, np.int64 if kind == INT64 else np.object_)
        graph.output(name, graph.node("Gather", of, places), kind, TOP)
    graph.output("score", best, FLOAT, TOP)
    return graph.model("Recommended films, embeddings of users and items")


def _without_seen(graph: Graph, scores: str, ratings: Ratings) -> str:
    """Scores that no film can win with which was seen; a column more takes what is not known."""
    films = len(ratings.films)
    place = graph.index(graph.input("seen", INT64, "seen"), ratings.films, unknown=films)
    wide = graph.node("Pad", scores, graph.constant([0, 0, 0, 1], np.int64))
    never = graph.node("Expand", graph.constant(-1e9), graph.node("Shape", place))
    marked = graph.node("ScatterElements", wide, place, never, axis=1)
    ends = [graph.constant([each], np.int64) for each in (0, films, 1)]
    return graph.node("Slice", marked, *ends)
