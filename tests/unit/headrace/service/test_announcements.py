"""A service that tells its parent where it listens."""

from __future__ import annotations

import json
import os

import pytest

from headrace.service.serving import JOINING, announce_alive, announce_ready


def test_a_parent_that_waits_is_told() -> None:
    """One line when it lives, one when it is ready."""
    reading, writing = os.pipe()
    announce_alive({"grpc": "a:1"}, writing)
    announce_ready({"grpc": "a:1"}, writing)
    with os.fdopen(reading) as pipe:
        alive, ready = map(json.loads, pipe)

    assert {"grpc": "a:1", "stage": JOINING} == alive
    assert {"grpc": "a:1"} == ready


@pytest.mark.parametrize("announce", [announce_alive, announce_ready])
def test_a_parent_that_is_gone_is_no_error(announce: object) -> None:
    """Ctrl-C while a suite starts: the service is stopped in order, without a traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    assert callable(announce)
    announce({"grpc": "a:1"}, writing)
