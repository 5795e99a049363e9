"""What a service says of its callers and their keys when it starts."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from headrace.service.access import open_access


@dataclass(frozen=True)
class Served:
    """Settings of a service."""

    host: str
    auth: str = "on"
    tls_cert: Path | None = None
    identity_file: Path | None = None
    tls_client_auth: str = "off"


@pytest.mark.parametrize(
    ("settings", "warns"),
    [
        (Served("0.0.0.0"), True),
        (Served("::"), True),
        (Served("10.0.0.7"), True),
        (Served("127.0.0.1"), False),
        (Served("localhost"), False),
        (Served("0.0.0.0", tls_cert=Path("cert.pem")), False),
        (Served("0.0.0.0", auth="off"), False),
    ],
)
def test_keys_in_plaintext_are_warned_of(
    settings: Served, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Where they cross a network, and nobody else is asked for one."""
    with caplog.at_level(logging.WARNING), open_access(settings, CollectorRegistry()) as access:
        assert access.is_on is (settings.auth == "on")
    assert ("in plaintext" in caplog.text) is warns


@pytest.mark.parametrize(
    ("settings", "warnings"),
    [
        (Served("0.0.0.0", auth="off"), 1),
        (Served("::", auth="off", tls_cert=Path("cert.pem")), 1),
        (Served("0.0.0.0", auth="off", tls_client_auth="required"), 0),
        (Served("127.0.0.1", auth="off"), 0),
        (Served("::1", auth="off"), 0),
        (Served("0.0.0.0", tls_cert=Path("cert.pem")), 0),
    ],
)
def test_ports_that_are_open_to_everybody_are_warned_of(
    settings: Served, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, with what changes it, where others can reach them and nobody is asked who he is."""
    with caplog.at_level(logging.WARNING), open_access(settings, CollectorRegistry()):
        pass
    said = [record.getMessage() for record in caplog.records]
    assert warnings == len(said)
    assert all("may do everything" in text and "--auth on" in text for text in said)
