"""What a replica says of how it is reached."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from headrace_inference.settings import Settings


@pytest.mark.parametrize(
    ("advertised", "address", "expected"),
    [
        ("", "127.0.0.1:8001", "127.0.0.1:8001"),
        ("", "0.0.0.0:8001", f"{socket.gethostname()}:8001"),
        ("node-7", "0.0.0.0:8001", "node-7:8001"),
        ("node-7", "127.0.0.1:8001", "node-7:8001"),
        ("", "[::1]:8001", "[::1]:8001"),
        ("", "[::]:8001", f"{socket.gethostname()}:8001"),
        ("fd00::7", "[::]:8001", "[fd00::7]:8001"),
    ],
)
def test_reachable_at(advertised: str, address: str, expected: str) -> None:
    """The advertised host wins; without one, every address is this machine's name."""
    settings = Settings("redis://x", "r:1", Path("data"), advertised_host=advertised)

    assert expected == settings.reachable_at(address)
