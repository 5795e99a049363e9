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
    settings = Settings(Path("data"), "redis://x", "r:1", advertised_host=advertised)

    assert expected == settings.reachable_at(address)


def test_all_that_is_wrong_is_told_at_once() -> None:
    """A line each, with what is allowed; a replica that can load or answer nothing is not started."""
    wrong = {
        "max_loading": 0,
        "metrics_max_versions": -1,
        "grace_seconds": -0.5,
        "max_message_bytes": 0,
        "cors_origins": ("nonsense",),
        "served_names": ("gpt-4o", "gpt-4o="),
        "max_connection_age_seconds": 3e6,
    }
    with pytest.raises(ValueError, match="max-loading") as refused:
        Settings(Path("data"), "redis://x", "r:1", **wrong)  # type: ignore[arg-type]
    lines = str(refused.value).splitlines()
    assert sorted(f"--{name.replace('_', '-')}" for name in wrong) == sorted(
        line.partition(":")[0] for line in lines
    )
    assert "--max-loading: 0 is not over 0" in lines
    assert "--grace-seconds: -0.5 is not 0 or more" in lines


def test_nothing_else_is_refused() -> None:
    """0 stands for none, off or no limit."""
    Settings(Path("data"), "redis://x", "r:1", tuning_seconds=0, cache_max_bytes=0, join_seconds=0)
