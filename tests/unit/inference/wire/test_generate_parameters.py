"""Parameters of the generate form, read before a version says which members are inputs."""

from __future__ import annotations

import pytest

from headrace_inference.wire.rest.generate import MemberParameters, parse_generate


@pytest.mark.parametrize(
    ("body", "name", "value"),
    [
        (b'{"x": [1], "user": "ada"}', "user", "ada"),
        (b'{"x": [1], "parameters": {"user": "ada", "n": 7}}', "n", 7),
        (b'{"user": "ada", "parameters": {"user": "bob"}}', "user", "ada"),
        (b'{"user": true}', "user", True),
        (b'{"user": null}', "user", None),
        (b'{"x": [1]}', "x", None),
        (b'{"x": [1]}', "user", None),
        (b'{"id": "r1"}', "id", None),
        (b'{"parameters": [1]}', "user", None),
        (b'{"parameters": {"user": {}}}', "user", None),
    ],
)
def test_what_can_be_a_parameter_is_one(body: bytes, name: str, value: object) -> None:
    """A row each; what is malformed is none, and refused by the version."""
    assert value == MemberParameters(parse_generate(body)).get(name)


def test_their_names_are_listed_once() -> None:
    """Those of members and those within `parameters`."""
    body = b'{"a": 1, "id": "r", "parameters": {"a": 2, "b": 3}}'
    parameters = MemberParameters(parse_generate(body))

    assert (["a", "b"], 2) == (list(parameters), len(parameters))
