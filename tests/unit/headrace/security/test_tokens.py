"""Which JWTs are taken, and that nothing in a token decides how it is verified."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from contextlib import suppress
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace import errors
from headrace.security.access import MAX_REFUSED, MAX_TOKENS, Access, Rights
from headrace.security.credentials import Credentials
from headrace.security.identities import Identity, Proof
from headrace.security.identity_file import Issuer
from headrace.security.jwks import IssuerKeys
from headrace.security.tokens import LEEWAY_SECONDS, IssuedTokens
from tests.security.issuers import (
    AUDIENCE,
    ISSUER,
    claims,
    ec_key,
    ed_key,
    jwk,
    jwks,
    public_pem,
    rsa_key,
    segments,
    token,
)

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
KEYS = jwks(
    jwk(rsa_key(), "r1"),
    jwk(ec_key(), "e1", alg="ES256"),
    jwk(ed_key(), "o1"),
    jwk(ec_key(1), "enc", use="enc"),
    {"kty": "oct", "kid": "s1", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},
)


def verifier(keys: bytes = KEYS, **more: Any) -> IssuedTokens:
    """A verifier of one issuer."""
    given = {"algorithms": ALGORITHMS, "groups_claim": "groups", **more}
    issuer = Issuer(name="corp", issuer=ISSUER, audiences=(AUDIENCE, "other"), jwks="f", **given)
    issued = IssuerKeys(issuer, lambda _: keys)
    issued.refresh()
    return IssuedTokens([issued], issued.refresh)


def refused(text: str, tokens: IssuedTokens | None = None) -> str:
    """The reason and what the message says after the colon."""
    with pytest.raises(errors.Unauthenticated) as error:
        (tokens or verifier()).verify(text)
    return f"{error.value.reason} {error.value.message.partition(': ')[2]}".strip()


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [
        (rsa_key(), "RS256", "r1"),
        (rsa_key(), "PS256", "r1"),
        (ec_key(), "ES256", "e1"),
        (ed_key(), "EdDSA", "o1"),
        (ed_key(), "EdDSA", None),
    ],
)
def test_what_an_issuer_signs_is_taken(key: Any, algorithm: str, kid: str | None) -> None:
    """Without a key's id the only key for the algorithm is meant."""
    given = claims(groups=["ml", "ops"])
    identity = verifier().verify(token(key, algorithm, kid, **given))
    assert identity == Identity(
        "corp:alice",
        Proof.TOKEN,
        "corp",
        ("corp:group:ml", "corp:group:ops"),
        given["exp"] + LEEWAY_SECONDS,
    )


def test_a_service_account_of_kubernetes_is_a_subject() -> None:
    """Its `sub` has colons of its own."""
    account = "system:serviceaccount:ml:replica"
    identity = verifier().verify(token(sub=account, aud=["x", AUDIENCE]))
    assert identity.subject == f"corp:{account}"


COLLECTED = int(time.time())
"""Tests run minutes later: only what is far from now goes by it."""


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exp": COLLECTED - 60, "iat": COLLECTED - 600}, "TOKEN_EXPIRED"),
        ({"nbf": COLLECTED + 90_000}, "TOKEN_INVALID it is not valid yet (nbf, iat)"),
        (
            {"iat": COLLECTED + 90_000, "exp": COLLECTED + 90_900},
            "TOKEN_INVALID it is not valid yet (nbf, iat)",
        ),
        (
            {"aud": "elsewhere"},
            "TOKEN_INVALID its audience (aud) is none that the identity file names",
        ),
        ({"aud": None}, "TOKEN_INVALID it lacks one of exp, iat, sub"),
        ({"exp": None}, "TOKEN_INVALID it lacks one of exp, iat, sub"),
        ({"iat": None}, "TOKEN_INVALID it lacks one of exp, iat, sub"),
        ({"sub": None}, "TOKEN_INVALID it lacks one of exp, iat, sub"),
        ({"iss": "https://evil.example"}, "TOKEN_INVALID its issuer"),
        ({"iss": [ISSUER]}, "TOKEN_INVALID its issuer"),
        ({"iss": None}, "TOKEN_INVALID its issuer"),
        ({"exp": 1e400}, "TOKEN_INVALID it is malformed"),
        ({"exp": "soon"}, "TOKEN_INVALID it is malformed"),
        ({"sub": ""}, "TOKEN_INVALID its sub is no text of"),
        ({"sub": "a\nb"}, "TOKEN_INVALID its sub is no text of"),
        ({"sub": "x" * 300}, "TOKEN_INVALID its sub is no text of"),
        ({"sub": "group:ml"}, "TOKEN_INVALID its sub is no text of"),
    ],
)
def test_claims_that_are_wrong_are_told(changes: dict[str, Any], expected: str) -> None:
    """A token is refused with what is wrong with it."""
    assert refused(token(**changes)).startswith(expected)


def test_times_may_differ_by_half_a_minute() -> None:
    """Clocks do."""
    now = int(time.time())
    late = token(exp=now - 5, iat=now - 600)
    assert verifier().verify(late).expires_at == now - 5 + LEEWAY_SECONDS


def test_an_issuer_may_have_its_lifetimes_bounded() -> None:
    """A token that lives for longer is refused, however it was signed."""
    tokens = verifier(max_lifetime_seconds=600.0)
    now = int(time.time())
    assert tokens.verify(token(exp=now + 500, iat=now)).subject == "corp:alice"
    assert refused(token(exp=now + 5000), tokens) == "TOKEN_INVALID it is valid for more than 600 s"


def test_the_algorithm_is_never_the_tokens_choice() -> None:
    """No signature, a public key as a secret, another key's algorithm, a secret of the JWKS: refused."""
    none = segments({"alg": "none", "kid": "e1"}, claims(), b"")
    assert refused(none).startswith("TOKEN_INVALID its algorithm is none of")
    header = {"alg": "HS256", "kid": "r1", "typ": "JWT"}
    unsigned = segments(header, claims(), b"").rpartition(".")[0]
    signature = hmac.digest(public_pem(rsa_key()), unsigned.encode(), hashlib.sha256)
    confused = segments(header, claims(), signature)
    assert refused(confused).startswith("TOKEN_INVALID its algorithm is none of")
    shared = segments({"alg": "HS256", "kid": "s1"}, claims(), b"x" * 32)
    assert refused(shared).startswith("TOKEN_INVALID its algorithm is none of")
    swapped = token(rsa_key(), "RS256", "e1")
    assert refused(swapped) == "TOKEN_INVALID its key (kid) is none of the issuer 'corp'"
    not_allowed = token(rsa_key(), "RS512", "r1")
    assert refused(not_allowed).startswith("TOKEN_INVALID its algorithm is none of")
    for_encryption = token(ec_key(1), "ES256", "enc")
    assert refused(for_encryption) == "TOKEN_INVALID its key (kid) is none of the issuer 'corp'"


def test_keys_that_a_token_brings_are_not_looked_at() -> None:
    """`jku`, `x5u` and `jwk` lead nowhere; a `kid` is a name, not a path; extensions are not known."""
    mine = jwk(ec_key(1), "e1")
    for headers in (
        {"jwk": mine},
        {"jku": "https://evil.example/k"},
        {"x5u": "https://evil.example/c"},
    ):
        forged = token(ec_key(1), "ES256", "e1", headers=headers)
        assert refused(forged) == "TOKEN_INVALID its signature is wrong"
    for kid in ("../../dev/null", "", "' or 1=1"):
        assert "its key (kid)" in refused(token(ec_key(1), "ES256", kid))
    critical = segments({"alg": "ES256", "kid": "e1", "crit": ["x"], "x": 1}, claims(), b"x" * 64)
    assert refused(critical).startswith("TOKEN_INVALID")


@pytest.mark.parametrize(
    "text",
    [
        "a.b.c",
        "..",
        "eyJ.eyJ.eyJ",
        "e30.e30.",
        segments({"alg": ["ES256"]}, claims(), b"x" * 64),
        segments({"alg": "ES256", "kid": {"a": 1}}, claims(), b"x" * 64),
        segments({"alg": "ES256", "b64": False, "crit": ["b64"]}, claims(), b"x" * 64),
        "é.é.é",
    ],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    """Whatever it is, its sender is told so, and it is no bug."""
    assert refused(text).startswith("TOKEN_INVALID")


def test_depth_is_no_bug() -> None:
    """A token that nests as deep as it is long ends no thread."""
    deep = "[" * 10_000 + "]" * 10_000
    for header, payload in ((deep, "{}"), (json.dumps({"alg": "ES256"}), deep)):
        parts = [
            base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode()
            for part in (header, payload)
        ]
        assert refused(".".join([*parts, "eHg"])).startswith("TOKEN_INVALID")


def test_a_signature_has_no_further_forms() -> None:
    """Characters that decoders pass over: with them one token would be remembered any number of times."""
    good = token()
    for junk in ("!", "=", "\n", "\N{NO-BREAK SPACE}", "+/"):
        assert refused(good[:-4] + junk + good[-4:]) == "TOKEN_INVALID it is malformed"


def test_a_flipped_bit_is_found() -> None:
    """The signature is over all of it."""
    good = token()
    header, payload, _ = good.split(".")
    other = token(sub="root").split(".")
    assert (
        refused(f"{header}.{other[1]}.{good.split('.')[2]}")
        == "TOKEN_INVALID its signature is wrong"
    )
    assert refused(f"{header}.{payload}.{other[2]}") == "TOKEN_INVALID its signature is wrong"


def test_a_flood_of_bad_tokens_takes_no_memory() -> None:
    """What is remembered of tokens, bad and good, is bounded."""
    access = Access(tokens=verifier())
    access.rights = Rights()
    signature = token().rpartition(".")[2]
    for number in range(MAX_REFUSED + 100):
        forged = segments({"alg": "ES256", "kid": f"k{number}"}, claims(), b"x" * 64)
        with pytest.raises(errors.Unauthenticated):
            access.identify(Credentials(f"Bearer {forged[:-10]}{signature[:10]}"))
    memory = access._memory
    assert len(memory.refused) <= MAX_REFUSED
    assert len(memory.identities) <= MAX_TOKENS
    assert access.identify(Credentials(f"Bearer {token()}")).subject == "corp:alice"


_ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**80,
    1e400,
    float("nan"),
    "",
    "x",
    [],
    [1],
    {},
    {"a": 1},
    [["x"]],
)
_CHANGES = st.tuples(
    st.sampled_from(["alg", "kid", "typ", "crit", "b64", "iss", "aud", "sub", "exp", "iat", "nbf"]),
    st.sampled_from(_ODD),
)


@given(changes=st.lists(_CHANGES, max_size=2))
def test_whatever_is_signed_is_taken_or_refused(changes: list[tuple[str, Any]]) -> None:
    """Also what an issuer signs by mistake ends no thread."""
    header, payload = (
        {"alg": "ES256", "kid": "e1", "typ": "JWT"},
        claims(nbf=COLLECTED, groups=["a"]),
    )
    for name, value in changes:
        changed: dict[str, Any] = (
            header if name in ("alg", "kid", "typ", "crit", "b64") else payload
        )
        changed[name] = value
    unsigned = segments(header, payload, b"").rpartition(".")[0]
    signature = base64.urlsafe_b64encode(_SIGNER.sign(unsigned.encode(), ec_key())).rstrip(b"=")
    with suppress(errors.Unauthenticated):
        identity = verifier().verify(f"{unsigned}.{signature.decode()}")
        assert identity.subject.startswith("corp:")


_SIGNER = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
