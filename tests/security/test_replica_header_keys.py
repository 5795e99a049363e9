"""Keys in headers of their own: clients of Triton's restricted protocols go on as they are."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from headrace.security.header_keys import HeaderKey, HeaderKeys
from headrace.security.identity_file import parse_identity_rules
from headrace.security.policy import Grant
from tests.security.asked_models import IDS, OURS, THEIRS, WAYS, Headers, open_models, outcome
from tests.security.keyring import Keyring

ways = pytest.mark.parametrize(("front", "wire"), WAYS, ids=IDS)
GRPC_OURS, OURS_HEADER, THEIRS_HEADER = "triton-grpc-protocol-ours", "ours-key", "theirs-key"


def keyring() -> Keyring:
    """A key in a header for each model, and an API key of somebody without a grant."""
    keys = Keyring(
        {
            "header:ours": (Grant("caller", (OURS,)),),
            "header:theirs": (Grant("caller", (THEIRS,)),),
            "new": (),
        }
    )
    keys.access.header_keys = HeaderKeys(
        (
            HeaderKey("ours", (GRPC_OURS, OURS_HEADER), hashlib.sha256(b"one").hexdigest()),
            HeaderKey("theirs", (THEIRS_HEADER,), hashlib.sha256(b"two").hexdigest()),
        )
    )
    keys.access.forget()
    return keys


@ways
async def test_a_header_is_a_key(tmp_path: Path, front: str, wire: str) -> None:
    """Its value opens what was granted to it; several open what each does; a token counts before them."""
    keys = keyring()
    new = keys.metadata("new")
    expected: list[tuple[Headers, str]] = [
        ([(GRPC_OURS, "one")], "OK"),
        ([(OURS_HEADER, "one")], "OK"),
        ([], "UNAUTHENTICATED"),
        ([(OURS_HEADER, "two")], "UNAUTHENTICATED"),
        ([(OURS_HEADER, "one"), (OURS_HEADER, "one")], "UNAUTHENTICATED"),
        ([(THEIRS_HEADER, "two")], "PERMISSION_DENIED"),
        ([(THEIRS_HEADER, "two"), (OURS_HEADER, "one")], "OK"),
        ([(THEIRS_HEADER, "one"), (OURS_HEADER, "one")], "UNAUTHENTICATED"),
        ([*new, (OURS_HEADER, "one")], "PERMISSION_DENIED"),
    ]
    async with open_models(tmp_path, keys.access, front) as replica:
        for headers, status in expected * 2:
            assert (await outcome(replica, wire, OURS, headers))[0] == status, headers


@ways
async def test_no_trace_has_a_secret(tmp_path: Path, front: str, wire: str) -> None:
    """A pattern that matches every header forwards none that proves who calls."""
    keys = keyring()
    keys.grant("new", Grant("caller"))
    traces = tmp_path / "traces"
    more = {"trace_file": traces, "trace_level": ("TIMESTAMPS",), "trace_rate": 1}
    patterns = {"grpc_header_forward_pattern": ".*", "http_header_forward_pattern": ".*"}
    async with open_models(tmp_path, keys.access, front, **more, **patterns) as replica:
        noted = ("x-note", "kept")
        for headers in (keys.metadata("new"), [(GRPC_OURS, "one")], [(OURS_HEADER, "one")]):
            assert (await outcome(replica, wire, OURS, [*headers, noted]))[0] == "OK"
    text = traces.read_text()
    assert text.count("kept") == 3
    for secret in (keys.headers("new")["authorization"], GRPC_OURS, OURS_HEADER, "authorization"):
        assert secret not in text


@pytest.mark.parametrize(
    "wrong",
    [
        'name = "A"\nheaders = ["k"]',
        'name = "a"\nheaders = []',
        'name = "a"\nheaders = ["authorization"]',
        'name = "a"\nheaders = ["X-Key"]',
        'name = "a"\nheaders = ["x-forwarded-for"]',
        'name = "a"\nheaders = ["kk", "kk"]',
    ],
)
def test_a_key_is_in_a_header_without_a_meaning(wrong: str) -> None:
    """The identity file is refused as a whole."""
    with pytest.raises(ValueError, match=r"header|name|length"):
        parse_identity_rules(f'[[header_keys]]\n{wrong}\nsha256 = "{"a" * 64}"')
