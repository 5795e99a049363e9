"""Certificates from files: read again when they change, kept where they cannot be used."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from headrace.errors import FailedPrecondition
from headrace.tls import certificates as certificates_module
from headrace.tls.authority import Names
from headrace.tls.certificates import Certificates
from headrace.tls.expiry import remark
from headrace.tls.files import TlsFiles
from headrace.tls.settings import ServerTlsSettings
from headrace.tls.validity import Validity, validity_of
from tests.tls_files import LOOPBACK, Pair, TlsFolder, tls_folder


def _files(pair: Pair, ca: Path | None = None) -> TlsFiles:
    return TlsFiles(pair.certificate, pair.key, ca)


@pytest.mark.parametrize("lifetime", [timedelta(hours=1), timedelta(days=365 * 60)])
def test_validity_is_what_the_certificate_says(tmp_path: Path, lifetime: timedelta) -> None:
    """Both forms of time are read: years after 2049 are written with four digits."""
    pem = tls_folder(tmp_path).authority.issue(LOOPBACK, lifetime, serves=True).certificate
    expected = x509.load_pem_x509_certificate(pem)
    found = validity_of(pem)
    assert expected.not_valid_before_utc.timestamp() == found.not_before
    assert expected.not_valid_after_utc.timestamp() == found.not_after


@pytest.mark.parametrize("cut", [0, 10, 60, 200])
def test_bytes_that_are_no_certificate_are_refused(tmp_path: Path, cut: int) -> None:
    """Whatever is in the file, reading its validity ends with a ValueError."""
    pem = tls_folder(tmp_path).authority.issued.certificate
    broken = pem[:cut] + b"\n-----END CERTIFICATE-----\n" if cut else b""
    with pytest.raises(ValueError, match="certificate"):
        validity_of(broken)


def test_replaced_files_are_read_again(tmp_path: Path) -> None:
    """The pair that is in the files now is used; an unchanged one stays the same object."""
    folder = tls_folder(tmp_path)
    pair = folder.server()
    certificates = Certificates(_files(pair, folder.ca))
    first = certificates.current()
    assert first is certificates.current()
    folder.renew(pair)
    second = certificates.current()
    assert pair.certificate.read_bytes() == second.chain != first.chain
    assert (1, 0, "") == (certificates.taken, certificates.refused, certificates.problem)


def test_a_folder_behind_a_symbolic_link_can_be_swapped(tmp_path: Path) -> None:
    """Kubernetes swaps a link of a folder: both files change at one moment."""
    old, new = tls_folder(tmp_path, "old"), tls_folder(tmp_path, "new")
    old.server(), new.server()
    data = tmp_path / "..data"
    data.symlink_to(old.folder)
    for name in ("server.pem", "server.key"):
        (tmp_path / name).symlink_to(Path("..data") / name)
    certificates = Certificates(TlsFiles(tmp_path / "server.pem", tmp_path / "server.key"))
    beside = tmp_path / "..data_tmp"
    beside.symlink_to(new.folder)
    beside.replace(data)
    assert (new.folder / "server.pem").read_bytes() == certificates.current().chain


def _another_key(folder: TlsFolder, pair: Pair) -> None:
    pair.key.write_bytes(folder.authority.issued.key)


def _cut_key(_: TlsFolder, pair: Pair) -> None:
    pair.key.write_bytes(pair.key.read_bytes()[:40])


def _no_certificate(_: TlsFolder, pair: Pair) -> None:
    pair.certificate.unlink()


def _no_authorities(folder: TlsFolder, _: Pair) -> None:
    folder.ca.write_text("nothing\n")


@pytest.mark.parametrize("damage", [_another_key, _cut_key, _no_certificate, _no_authorities])
def test_files_that_cannot_be_used_leave_what_was_there(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[TlsFolder, Pair], None],
) -> None:
    """A half-written pair is told once in the log, and counted; whole again, it is taken."""
    monkeypatch.setattr(certificates_module, "GRACE_SECONDS", 0.0)
    folder = tls_folder(tmp_path)
    pair = folder.server()
    ca = folder.ca.read_bytes()
    certificates = Certificates(_files(pair, folder.ca))
    first = certificates.current()
    damage(folder, pair)
    assert first is certificates.current()
    assert first is certificates.current()
    assert certificates.problem
    assert 1 == certificates.refused
    assert 1 == len([record for record in caplog.records if record.levelno == logging.ERROR])
    folder.ca.write_bytes(ca)
    folder.renew(pair)
    certificates._tried_at = 0.0
    assert pair.certificate.read_bytes() == certificates.current().chain
    assert "" == certificates.problem


def test_a_pair_that_is_being_written_is_no_trouble(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its two files are never written at one moment: whoever renews reads no error of it."""
    folder = tls_folder(tmp_path)
    pair = folder.server()
    certificates = Certificates(_files(pair))
    issued = folder.authority.issue(LOOPBACK, timedelta(days=1), serves=True)
    pair.key.write_bytes(issued.key)
    certificates.current()
    pair.certificate.write_bytes(issued.certificate)
    assert issued.certificate == certificates.current().chain
    assert ("", 0) == (certificates.problem, certificates.refused)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("missing", ["server.pem", "server.key", "ca.pem"])
def test_a_start_with_a_missing_file_is_refused(tmp_path: Path, missing: str) -> None:
    """The message names the file."""
    folder = tls_folder(tmp_path)
    pair = folder.server()
    (folder.folder / missing).unlink()
    with pytest.raises(FailedPrecondition, match=missing) as refused:
        Certificates(_files(pair, folder.ca))
    assert "TLS_FILE_UNREADABLE" == refused.value.reason


def test_a_start_with_another_key_is_refused(tmp_path: Path) -> None:
    """Nothing serves with a pair that no client would accept."""
    folder = tls_folder(tmp_path)
    pair = folder.server()
    _another_key(folder, pair)
    with pytest.raises(FailedPrecondition, match="not a certificate and its key") as refused:
        Certificates(_files(pair))
    assert "TLS_FILES_INVALID" == refused.value.reason


def test_a_key_with_a_password_is_refused_without_a_question(tmp_path: Path) -> None:
    """Nobody sits at the terminal of a service."""
    folder = tls_folder(tmp_path)
    pair = folder.server()
    pair.key.write_bytes(_with_password(pair.key.read_bytes()))
    with pytest.raises(FailedPrecondition, match="without a password"):
        Certificates(_files(pair))


def _with_password(key: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization

    loaded = serialization.load_pem_private_key(key, None)
    return loaded.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"tls_cert": Path("c")}, "--tls-cert needs --tls-key"),
        ({"tls_key": Path("k")}, "--tls-key needs --tls-cert"),
        ({"tls_client_ca": Path("a"), "tls_client_auth": "required"}, "needs --tls-cert"),
        (
            {"tls_cert": Path("c"), "tls_key": Path("k"), "tls_client_auth": "optional"},
            "needs --tls-client-ca",
        ),
        (
            {"tls_cert": Path("c"), "tls_key": Path("k"), "tls_client_ca": Path("a")},
            "say which",
        ),
    ],
)
def test_settings_that_do_not_fit_are_named(given: dict[str, Path], problem: str) -> None:
    """What would verify nobody is refused instead of ignored."""
    assert problem in " ".join(ServerTlsSettings(**given).tls_problems())  # type: ignore[arg-type]


_NOW = datetime(2030, 1, 1, tzinfo=UTC).timestamp()
_DAY = 86_400.0


@pytest.mark.parametrize(
    ("life_days", "left_days", "expected"),
    [
        (365, 15, ""),
        (365, 13, "expires in 13 days"),
        (90, 1.5, "expires in 36.0 hours"),
        (1 / 24, 0.5 / 24, ""),
        (1 / 24, 0.1 / 24, "expires in 0.1 hours"),
        (90, -1, "has expired"),
        (90, 91, "not valid yet"),
    ],
)
def test_the_end_of_a_certificate_is_told_in_time(
    life_days: float, left_days: float, expected: str
) -> None:
    """One that lives an hour is not warned of for most of it."""
    end = _NOW + left_days * _DAY
    said = remark(Validity(end - life_days * _DAY, end), _NOW)
    assert expected in said
    assert bool(expected) == bool(said)


def test_old_protocols_are_off(tmp_path: Path) -> None:
    """TLS 1.2 is the oldest that a server speaks."""
    pair = tls_folder(tmp_path).server()
    tls = ServerTlsSettings(tls_cert=pair.certificate, tls_key=pair.key).read_server_tls()
    assert tls is not None
    context = tls.ssl_context(("http/1.1",))
    connection = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    assert ssl.TLSVersion.TLSv1_2 == connection.context.minimum_version


def test_names_in_certificates_are_kept_by_their_kind(tmp_path: Path) -> None:
    """An authority is asked for names of every kind."""
    from headrace.tls.authority import names_of

    names = Names(["a.example"], ["127.0.0.1", "::1"], ["spiffe://headrace/a"])
    issued = tls_folder(tmp_path).authority.issue(names, timedelta(days=1), serves=True)
    assert (names, True) == names_of(issued.certificate)
