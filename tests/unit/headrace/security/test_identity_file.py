"""What an identity file may say, and that a broken one changes nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from headrace import errors
from headrace.security.access import Access, Rights
from headrace.security.credentials import Credentials, PeerCertificate
from headrace.security.identity_file import parse_identity_rules, read_identity_file
from headrace.security.identity_sources import IdentitySources
from tests.security.issuers import AUDIENCE, ISSUER, ec_key, jwk, jwks, token

CORP = f"""
[[issuers]]
name = "corp"
issuer = "{ISSUER}"
audiences = ["{AUDIENCE}"]
jwks = "keys.json"
"""
CERTIFICATES = """
[certificates]
trust_domains = ["headrace"]
gateways = ["spiffe://headrace/gateway"]
[certificates.hosts]
"worker.example" = "batch"
"""


def test_a_file_says_whom_to_believe(tmp_path: Path) -> None:
    """Paths are relative to its folder."""
    path = tmp_path / "identity.toml"
    path.write_text(CORP + CERTIFICATES)
    rules = read_identity_file(path)
    (issuer,) = rules.issuers
    assert (issuer.name, issuer.jwks) == ("corp", str(tmp_path / "keys.json"))
    assert rules.certificates.hosts == {"worker.example": "batch"}
    assert parse_identity_rules("").issuers == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[issuers]", "line 1"),
        (CORP + "audience = 'x'", "`audience`"),
        ("[certificate]\n", "`certificate`"),
        (CORP.replace('name = "corp"', ""), "`name`"),
        (CORP.replace('["headrace"]', "[]"), "$.issuers[0].audiences"),
        (CORP.replace('"corp"', '"Corp:x"'), "name is 'Corp:x'"),
        (CORP.replace('"corp"', '"spiffe"'), "begins the subjects of certificates"),
        ('[certificates.hosts]\n"x" = "anonymous"', "'anonymous' is no subject"),
        (CORP + CORP, "two issuers have the name 'corp'"),
        (CORP + "algorithms = ['HS256', 'none']", "algorithms has HS256, none"),
        (CORP.replace("keys.json", "http://x/keys"), "a file or an https:// URL"),
        (CORP + "jwks_ca = 'ca.pem'", "jwks_ca and jwks_token_file are for a URL"),
        (CORP + "max_lifetime_seconds = -1", "max_lifetime_seconds"),
        ('[certificates]\ntrust_domains = ["*"]', "'*' is no trust domain"),
        ('[certificates.hosts]\n"*.x" = "a"', "no host's name"),
        ('[certificates.hosts]\n"x" = "corp:admin"', "'corp:admin' is no subject"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, told: str) -> None:
    """Unknown keys, too: a setting that was mistyped must not be passed over."""
    path = tmp_path / "identity.toml"
    path.write_text(text)
    with pytest.raises(errors.FailedPrecondition) as wrong:
        read_identity_file(path)
    assert wrong.value.reason == "IDENTITY_FILE_INVALID"
    assert told in wrong.value.message


def test_a_file_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    """Whoever asked for identities gets no service without them."""
    sources = IdentitySources(tmp_path / "none.toml", Access())
    with pytest.raises(errors.FailedPrecondition), sources.running():
        pass


def test_a_changed_file_is_in_force_and_a_broken_one_leaves_it_so(tmp_path: Path) -> None:
    """Also what was found out before of a token is void, when its issuer goes."""
    (tmp_path / "keys.json").write_bytes(jwks(jwk(ec_key(), "e1")))
    path = tmp_path / "identity.toml"
    path.write_text(CORP)
    access = Access()
    access.rights = Rights()
    sources = IdentitySources(path, access, look_seconds=600)
    signed = Credentials(f"Bearer {token()}")
    worker = Credentials("", PeerCertificate((), ("worker.example",)))
    with sources.running():
        assert access.identify(signed).subject == "corp:alice"
        assert not access.identify(worker).is_known
        path.write_text(CORP + CERTIFICATES)
        sources.look()
        assert access.identify(worker).subject == "batch"
        path.write_text("broken =")
        sources.look()
        assert "cannot be used" in sources.problem
        assert access.identify(worker).subject == "batch"
        assert access.identify(signed).subject == "corp:alice"
        path.write_text(CERTIFICATES)
        sources.look()
        assert (sources.problem, sources.reloads) == ("", 2)
        with pytest.raises(errors.Unauthenticated):
            access.identify(signed)


def test_issuers_without_the_package_for_tokens_end_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else every token would be refused, and nobody would know why. Certificates need no package."""
    monkeypatch.setitem(sys.modules, "jwt", None)
    path = tmp_path / "identity.toml"
    path.write_text(CORP)
    with (
        pytest.raises(errors.FailedPrecondition) as missing,
        IdentitySources(path, Access()).running(),
    ):
        pass
    assert missing.value.reason == "JWT_NOT_INSTALLED"
    path.write_text(CERTIFICATES)
    with IdentitySources(path, Access()).running():
        pass
