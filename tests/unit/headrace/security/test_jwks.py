"""The keys of issuers: which are taken, when they are read, and that they are kept."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from headrace import errors
from headrace.security.identity_file import Issuer
from headrace.security.jwks import (
    ASKED_SECONDS,
    REFRESH_SECONDS,
    RETRY_SECONDS,
    IssuerKeys,
    KeyKeeper,
    KeysUnusable,
    parse_keys,
    read_jwks,
)
from headrace.security.tokens import IssuedTokens
from tests.security.issuers import AUDIENCE, ISSUER, ec_key, jwk, jwks, rsa_key, serving_jwks, token

FIRST, SECOND = jwks(jwk(ec_key(), "e1")), jwks(jwk(ec_key(1), "e2"))


def issuer(where: str = "https://login.example/keys", **more: Any) -> Issuer:
    """The issuer of the tests."""
    return Issuer(
        name="corp", issuer=ISSUER, audiences=(AUDIENCE,), jwks=where, algorithms=("ES256",), **more
    )


class Remote:
    """An issuer whose JWKS and clock are in the test's hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.body: bytes | Exception = FIRST
        self.reads = 0
        self.changes = 0
        self.keys = IssuerKeys(issuer(), self._read, lambda: self.now, self._changed)
        self.tokens = IssuedTokens([self.keys], self._wake)

    def _read(self, _: Issuer) -> bytes:
        self.reads += 1
        if isinstance(self.body, Exception):
            raise self.body
        return self.body

    def _changed(self) -> None:
        self.changes += 1

    def _wake(self) -> None:
        """Read in another thread, as the keeper does."""
        threading.Thread(target=self.keys.refresh).start()

    def subject(self, text: str) -> str:
        """Whose token it is, or the reason why it is refused."""
        try:
            return self.tokens.verify(text).subject
        except errors.HeadraceError as error:
            return error.reason


def old() -> str:
    """A token by the first key, made now: a whole run takes longer than one lasts."""
    return token(ec_key(), "ES256", "e1")


def new() -> str:
    """A token by the key that comes later."""
    return token(ec_key(1), "ES256", "e2")


def test_a_new_key_is_read_when_a_token_has_it() -> None:
    """A key that an issuer signs with from one moment on is taken at once, and the old one is void."""
    remote = Remote()
    remote.keys.refresh()
    assert remote.subject(old()) == "corp:alice"
    remote.body = SECOND
    assert remote.subject(new()) == "corp:alice"
    assert remote.subject(old()) == "TOKEN_INVALID"
    assert (remote.reads, remote.changes) == (2, 1)


def test_keys_that_callers_make_up_are_asked_for_once_a_minute() -> None:
    """Whoever sends tokens with any key has the URL read no more often than that."""
    remote = Remote()
    remote.keys.refresh()
    for number in range(50):
        assert remote.subject(token(ec_key(), "ES256", f"k{number}")) == "TOKEN_INVALID"
    assert remote.reads == 2
    remote.now += ASKED_SECONDS
    assert remote.subject(new()) == "TOKEN_INVALID"
    assert remote.reads == 3


def test_keys_are_kept_while_the_url_is_away() -> None:
    """What was read before goes on; it is asked again soon, and the trouble is told."""
    remote = Remote()
    remote.keys.refresh()
    assert remote.keys.due_at() == remote.now + REFRESH_SECONDS
    for body in (OSError("away"), b"<html>", jwks(), jwks(jwk(rsa_key(), "r1"))):
        remote.body = body
        remote.keys.refresh()
        assert remote.keys.problem
        assert remote.keys.due_at() == remote.now + RETRY_SECONDS
        assert remote.subject(old()) == "corp:alice"
    assert remote.keys.failures == 4
    remote.body = FIRST
    remote.keys.refresh()
    assert (remote.keys.problem, remote.changes) == ("", 0)


def test_no_token_is_called_wrong_before_there_were_keys() -> None:
    """A service that starts while the URL is away says that it cannot tell yet."""
    remote = Remote()
    remote.body = OSError("away")
    assert remote.subject(old()) == "TOKEN_KEYS_UNAVAILABLE"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b'{"keys": 1}',
        b'{"keys": [1, null, {}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}',
        b"[" * 100_000,
        jwks({"kty": "oct", "k": "c2VjcmV0", "alg": "ES256", "kid": "s"}),
        jwks({"kty": ["EC"], "crv": {}, "alg": 1}),
    ],
)
def test_what_is_no_jwks_has_no_keys(data: bytes) -> None:
    """Neither does one of shared secrets alone."""
    with pytest.raises(KeysUnusable):
        parse_keys(data, ("ES256", "RS256"))


def test_weak_keys_are_left_out() -> None:
    """A short RSA key would make all that it verifies doubtful."""
    (key,) = parse_keys(jwks(jwk(rsa_key(0, 1024), "weak"), jwk(rsa_key(), "r1")), ("RS256",))
    assert key.id == "r1"


def test_a_url_is_read_over_tls_alone_and_leads_nowhere_else(tmp_path: Path) -> None:
    """Another authority, a redirection, an error and a flood of bytes give no keys."""
    with serving_jwks(tmp_path) as server:
        (tmp_path / "token").write_text("t0ken\n")
        at = issuer(
            server.url,
            jwks_ca=str(tmp_path / "ca.pem"),
            jwks_token_file=str(tmp_path / "token"),
        )
        server.body = FIRST
        assert read_jwks(at) == FIRST
        assert server.tokens == ["Bearer t0ken"]
        with pytest.raises(OSError, match="certificate verify failed"):
            read_jwks(issuer(server.url))
        server.body = b"x" * (2**20 + 1)
        with pytest.raises(KeysUnusable):
            read_jwks(at)
        before, server.body = server.requests, FIRST
        server.status, server.location = 302, f"{server.url}/elsewhere"
        with pytest.raises(OSError, match="302"):
            read_jwks(at)
        assert server.requests == before + 1
        server.status, server.location = 500, ""
        with pytest.raises(OSError, match="500"):
            read_jwks(at)


def test_the_keeper_reads_what_is_due_and_what_is_asked_for(tmp_path: Path) -> None:
    """A token with a key that is not known has the file read in the keeper's thread."""
    path = tmp_path / "jwks.json"
    path.write_bytes(FIRST)
    keys = IssuerKeys(issuer(str(path)), read_jwks)
    keeper = KeyKeeper(lambda: None, 60)
    tokens = IssuedTokens([keys], keeper.wake)
    with keeper:
        keeper.keep([keys])
        assert tokens.verify(old()).subject == "corp:alice"
        path.write_bytes(SECOND)
        keys._asked_at -= 10
        assert tokens.verify(new()).subject == "corp:alice"
