"""`headrace certs`: an authority, what it signs, and renewals that keep names."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace.cli.app import run
from headrace.local.suite_tls import SuiteTls
from headrace.tls.certificates import Certificates
from headrace.tls.files import TlsFiles


def _certs(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> Any:
    """What a command says in JSON; or of its error."""
    status = run(["certs", *words, "--folder", str(folder), "--json"])
    told = capsys.readouterr()
    return json.loads(told.out) if status == 0 else json.loads(told.err)["error"]


def test_a_trial_needs_one_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What is made suits a suite on this machine; the account alone can read it."""
    folder = tmp_path / "certs"
    made = _certs(capsys, folder, "create", "--host", "suite.example", "--host", "192.0.2.7")
    (server,) = made["certificates"]
    assert {"localhost", "127.0.0.1", "::1", "suite.example", "192.0.2.7"} <= set(server["names"])
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert ({0o600}, 0o700) == (modes, stat.S_IMODE(folder.stat().st_mode))
    tls = SuiteTls(Path(server["certificate"]), Path(server["key"]), Path(made["ca"]))
    assert "" == tls.rehearsed_at("127.0.0.1").name
    mutual = SuiteTls(tls.certificate, tls.key, tls.authorities, tls.authorities, "required")
    assert "" == mutual.rehearsed_at("0.0.0.0").name


def test_renewed_certificates_keep_their_names(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Their keys are new; none outlives its authority."""
    folder = tmp_path / "certs"
    _certs(capsys, folder, "create", "--authority-days", "2")
    alice = _certs(capsys, folder, "issue", "alice", "--host", "a.example")
    before = (folder / "alice.key").read_bytes()
    Certificates(TlsFiles(folder / "alice.pem", folder / "alice.key"))
    renewed = _certs(capsys, folder, "renew", "--days", "30")
    Certificates(TlsFiles(folder / "alice.pem", folder / "alice.key"))
    assert before != (folder / "alice.key").read_bytes()
    assert ["alice", "server"] == [each["name"] for each in renewed["certificates"]]
    told = renewed["certificates"][0]
    assert ["spiffe://headrace/alice", "a.example"] == told["names"]
    assert alice["certificates"][0]["names"] == told["names"]
    assert renewed["ca_not_after"] - 2 <= told["not_after"] <= renewed["ca_not_after"]
    assert renewed["certificates"] == _certs(capsys, folder, "list")["certificates"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("create",), "CERTIFICATE_EXISTS"),
        (("issue", "server"), "CERTIFICATE_EXISTS"),
        (("issue", "ca"), "CERTIFICATE_NAME_INVALID"),
        (("renew", "ca"), "CERTIFICATE_NAME_INVALID"),
        (("issue", "../x"), "CERTIFICATE_NAME_INVALID"),
        (("issue", "x", "--uri", "nobody"), "CERTIFICATE_NAME_INVALID"),
        (("renew", "nobody"), "CERTIFICATE_NOT_FOUND"),
        (("issue", "x", "--server"), "USAGE"),
    ],
)
def test_what_cannot_be_made_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: tuple[str, ...], reason: str
) -> None:
    """Nothing is replaced without being asked for."""
    folder = tmp_path / "certs"
    _certs(capsys, folder, "create")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert reason == _certs(capsys, folder, *words)["reason"]
    assert before == {path: path.read_bytes() for path in folder.iterdir()}


def test_without_an_authority_nothing_is_issued(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The error says what makes one."""
    told = _certs(capsys, tmp_path / "none", "issue", "alice")
    assert "CERTIFICATE_NOT_FOUND" == told["reason"]
    assert "headrace certs create" in told["message"]


def test_without_the_package_the_command_says_how_to_get_it(tmp_path: Path) -> None:
    """It is in an extra: servers need none of it."""
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from headrace.cli.app import run; sys.exit(run(['certs', 'create']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert 1 == done.returncode
    assert "pip install 'headrace[security]'" in done.stderr
