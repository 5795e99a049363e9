"""Errors that no service of ours gave a reason say where it was and what to do."""

from __future__ import annotations

from headrace.client.call_errors import without_reason
from headrace.errors import Unimplemented


def test_a_call_that_an_older_service_does_not_know_says_so() -> None:
    """As when a client with calls of text meets a replica of before them."""
    error = Unimplemented("UNIMPLEMENTED", "Method not found!")
    told = without_reason(error, "inference", "a:1", 30.0)

    assert isinstance(told, Unimplemented)
    assert "UNIMPLEMENTED" == told.reason
    assert told.message.startswith(
        "the replica at a:1 does not know this call (Method not found!): it is older than this client"
    )
