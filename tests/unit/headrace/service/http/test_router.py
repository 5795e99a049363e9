"""Paths and verbs to handlers."""

from __future__ import annotations

import pytest

from headrace.service.http.router import Match, NoMatch, Router

ROUTES = [
    ("GET", "/"),
    ("GET", "/v2"),
    ("GET", "/v2/models/stats"),
    ("GET", "/v2/models/{model}"),
    ("GET", "/v2/models/{model}/stats"),
    ("POST", "/v2/models/{model}/infer"),
    ("POST", "/v2/models/{model}/versions/{version}/infer"),
    ("GET", "/v2/logging"),
    ("POST", "/v2/logging"),
]


@pytest.fixture
def router() -> Router[str]:
    """A router whose handlers are the names of their routes."""
    router: Router[str] = Router()
    for verb, template in ROUTES:
        router.add(verb, template, f"{verb} {template}")
    return router


@pytest.mark.parametrize(
    ("verb", "path", "handler", "names"),
    [
        ("GET", "/", "GET /", {}),
        ("HEAD", "/v2", "GET /v2", {}),
        ("GET", "/v2/models/stats", "GET /v2/models/stats", {}),
        ("GET", "/v2/models/stats/stats", "GET /v2/models/{model}/stats", {"model": "stats"}),
        ("GET", "/v2/models/a", "GET /v2/models/{model}", {"model": "a"}),
        ("POST", "/v2/models/a%40b/infer", "POST /v2/models/{model}/infer", {"model": "a@b"}),
        ("POST", "/v2/models/a%2Fb/infer", "POST /v2/models/{model}/infer", {"model": "a/b"}),
        ("GET", "/%76%32", "GET /v2", {}),
        (
            "POST",
            "/v2/models/m/versions/7/infer",
            "POST /v2/models/{model}/versions/{version}/infer",
            {"model": "m", "version": "7"},
        ),
        ("POST", "/v2/logging", "POST /v2/logging", {}),
    ],
)
def test_what_answers(
    router: Router[str], verb: str, path: str, handler: str, names: dict[str, str]
) -> None:
    """A fixed segment goes before a name; names are decoded."""
    found = router.find(verb, path)
    assert isinstance(found, Match)
    assert (handler, names) == (found.handler, found.names)
    assert handler.endswith(f" {found.template}")


@pytest.mark.parametrize(
    ("verb", "path", "allowed"),
    [
        ("GET", "/nowhere", ()),
        ("GET", "/v2/", ()),
        ("GET", "//v2", ()),
        ("GET", "/v2/models//stats", ()),
        ("GET", "*", ()),
        ("GET", "", ()),
        ("GET", "/v2/models/a/infer", ("POST",)),
        ("DELETE", "/v2/logging", ("GET", "HEAD", "POST")),
        ("POST", "/v2/models/stats", ("GET", "HEAD")),
    ],
)
def test_what_nothing_answers(
    router: Router[str], verb: str, path: str, allowed: tuple[str, ...]
) -> None:
    """Unknown paths have no verbs; known ones say theirs."""
    assert NoMatch(allowed) == router.find(verb, path)
