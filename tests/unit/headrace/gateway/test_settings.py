"""The settings of a gateway, and the file that they may be in."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.gateway.settings import Settings
from headrace.gateway.settings_file import read_settings
from headrace.settings import SettingsError

REGISTRY = "--registry-address=127.0.0.1:8100"


def test_the_port_says_whether_there_is_tls() -> None:
    """8443 with a certificate, 8080 without one; what is given counts."""
    plain = Settings(registry_address="127.0.0.1:8100")
    secure = Settings(
        registry_address="127.0.0.1:8100", tls_cert=Path("tls.crt"), tls_key=Path("tls.key")
    )
    chosen = Settings(registry_address="127.0.0.1:8100", port=0)
    assert (8080, 8443, 0) == (plain.planned_port, secure.planned_port, chosen.planned_port)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """A line for each setting."""
    with pytest.raises(ValueError, match="registry-address") as raised:
        Settings(
            registry_address="http://here",
            cors_origins=("example.org/path",),
            max_connections=0,
            trace_percent=101,
            tls_client_ca=Path("ca.pem"),
        )
    said = str(raised.value)
    names = ("--registry-address", "--cors-origins", "--max-connections", "--trace-percent")
    assert [True] * 5 == [name in said for name in (*names, "--tls-client-ca")]


def test_flags_override_the_environment_and_that_the_file(tmp_path: Path) -> None:
    """The file is for what may change while the gateway runs."""
    file = tmp_path / "gateway.toml"
    file.write_text(
        'registry_address = "a:1"\nretries = 1\nworkers = 1\nmax_connections = 7\n'
        'cors_origins = ["https://a.example", "https://b.example"]\n'
    )
    settings = read_settings(
        [f"--settings-file={file}", "--workers=3"], {"HEADRACE_GATEWAY_RETRIES": "2"}
    )
    assert ("a:1", 3, 2, 7) == (
        settings.registry_address,
        settings.workers,
        settings.retries,
        settings.max_connections,
    )
    assert ("https://a.example", "https://b.example") == settings.cors_origins


@pytest.mark.parametrize("text", ["no_such = 1", "retries = ", "retries = 'many'"])
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str) -> None:
    """With what is wrong."""
    file = tmp_path / "gateway.toml"
    file.write_text(text)
    with pytest.raises(SettingsError):
        read_settings([REGISTRY, "--settings-file", str(file)], {})
