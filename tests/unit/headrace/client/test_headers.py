"""Headers that a caller sends with a request."""

from __future__ import annotations

from typing import cast

import pytest

from headrace import errors
from headrace.client.headers import as_metadata


def test_headers_travel_by_lower_case_names() -> None:
    """As gRPC wants them; texts stay as they are."""
    assert (("x-user", "Ada, 7"), ("x_y.z", "")) == as_metadata({"X-User": "Ada, 7", "x_y.z": ""})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("x user", "a", "not a valid name"),
        ("", "a", "not a valid name"),
        ("x-bin", "a", "'-bin'"),
        ("grpc-timeout", "1S", "'grpc-'"),
        ("x-user", "é", "printable ASCII"),
        ("x-user", "a\nb", "printable ASCII"),
    ],
)
def test_what_metadata_cannot_have_is_refused(name: str, text: str, said: str) -> None:
    """Before anything is sent."""
    with pytest.raises(errors.InvalidArgument, match=said) as caught:
        as_metadata({name: text})
    assert caught.value.reason == "HEADER_INVALID"


def test_a_header_of_another_type_is_a_type_error() -> None:
    """It names the header and what was given."""
    with pytest.raises(TypeError, match="header 'x-user' must be a str, got 5"):
        as_metadata({"x-user": cast("str", 5)})
