"""Triton's restricted protocols, read from its server's command line."""

from __future__ import annotations

import hashlib
import tomllib

import msgspec
import pytest

from headrace.errors import InvalidArgument
from headrace.security.identity_file import parse_identity_rules
from headrace.triton.restricted import Restriction, access_of, restrictions_in

GRPC, HTTP = "--grpc-restricted-protocol", "--http-restricted-api"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tritonserver --model-repository=/m", []),
        (f"t {GRPC}=inference:k=v", [(("inference",), "triton-grpc-protocol-k", "v")]),
        (f"t {GRPC} inference:k=v --x", [(("inference",), "triton-grpc-protocol-k", "v")]),
        (f"{HTTP}=metadata,health:Key=a=b", [(("metadata", "health"), "key", "a=b")]),
        (f"- '{HTTP}=trace:k=v w'", [(("trace",), "k", "v w")]),
        (f'["t", "{HTTP}=trace:k=v"]', [(("trace",), "k", "v")]),
    ],
)
def test_flags_are_found(text: str, expected: list[tuple[tuple[str, ...], str, str]]) -> None:
    """In a command line, or in the list of a container's arguments."""
    assert [Restriction(*each) for each in expected] == restrictions_in(text)


@pytest.mark.parametrize(
    "value", ["", "inference", "inference:k", "inference:=v", ":k=v", "models:k=v", "inference:k="]
)
def test_what_is_no_restriction_is_refused(value: str) -> None:
    """Nothing is taken for open that Triton restricts."""
    with pytest.raises(InvalidArgument):
        restrictions_in(f"t {GRPC}={value}")


def test_what_is_open_goes_to_everybody_and_the_rest_to_keys() -> None:
    """A value in two flags is one key; a right that is restricted in part is restricted."""
    access = access_of(
        restrictions_in(f"t {GRPC}=inference:k=one {HTTP}=inference:k=one {GRPC}=logging:a=two")
    )
    rules = parse_identity_rules(access.identity_file)
    assert [msgspec.structs.asdict(rule) for rule in rules.header_keys] == [
        {
            "name": "k",
            "headers": ("k", "triton-grpc-protocol-k"),
            "sha256": hashlib.sha256(b"one").hexdigest(),
        },
        {
            "name": "a",
            "headers": ("triton-grpc-protocol-a",),
            "sha256": hashlib.sha256(b"two").hexdigest(),
        },
    ]
    assert access.commands == (
        "headrace roles set triton-public read",
        "headrace grant anonymous triton-public",
        "headrace roles set triton-k infer,read",
        "headrace grant header:k triton-k",
        "headrace roles set triton-a read",
        "headrace grant header:a triton-a",
    )
    assert len(access.remarks) == 1
    assert "one" not in access.identity_file
    assert tomllib.loads(access.identity_file)
