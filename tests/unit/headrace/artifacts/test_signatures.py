"""Signatures and the policy that demands them: real keys, the real library."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from headrace import errors
from headrace.artifacts.bundles import MAX_BYTES, read_bundle
from headrace.artifacts.signature_policy import NO_POLICY, PolicyFile, read_policy
from headrace.artifacts.signatures import SigningKey, sign
from tests.unit.headrace.artifacts.keys import KeyPair, certified, key_pair

FILES = {"model.onnx": "ab" * 32, "weights/a b.bin": "cd" * 32}
OTHERS: list[Mapping[str, str]] = [
    {**FILES, "model.onnx": "ac" * 32},
    {"model.onnx": "ab" * 32},
    {**FILES, "more.bin": "ef" * 32},
    {"model.onnx": "ab" * 32, "weights/a c.bin": "cd" * 32},
]


def policy_file(folder: Path, text: str) -> Path:
    """A policy of this text."""
    path = folder / "policy.toml"
    path.write_text(text)
    return path


def one_rule(folder: Path, models: str, *keys: KeyPair) -> Path:
    """A policy of one rule."""
    names = json.dumps([key.public.name for key in keys])
    return policy_file(
        folder, f"[[rule]]\nmodels = {json.dumps([models])}\npublic_keys = {names}\n"
    )


def refusal(act: Callable[[], object]) -> str:
    """The reason that it is refused with."""
    with pytest.raises(errors.HeadraceError) as refused:
        act()
    return refused.value.reason


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_what_a_trusted_key_signed_passes(tmp_path: Path, curve: ec.EllipticCurve) -> None:
    """By every kind of key that the library takes, and exactly for the files that were signed."""
    pair = key_pair(tmp_path, "team", curve)
    policy = read_policy(one_rule(tmp_path, "fraud-*", pair))
    bundle = sign("fraud-eu", FILES, SigningKey(pair.private))
    assert "signed by the key team.pem" == policy.check("fraud-eu", bundle, FILES)
    reasons = [refusal(lambda: policy.check("fraud-eu", bundle, other)) for other in OTHERS]  # noqa: B023
    assert ["SIGNATURE_MISMATCH"] * len(OTHERS) == reasons


def test_only_those_whom_the_first_rule_names_may_sign(tmp_path: Path) -> None:
    """Another's key is not trusted, nor none; models that no rule names may come unsigned."""
    team, other = key_pair(tmp_path, "team"), key_pair(tmp_path, "other")
    text = (
        '[[rule]]\nmodels = ["fraud-*"]\npublic_keys = ["team.pem"]\n'
        '[[rule]]\nmodels = ["*-eu", "fraud-*"]\npublic_keys = ["other.pem"]\n'
    )
    policy = read_policy(policy_file(tmp_path, text))
    by_team, by_other = (sign("m", FILES, SigningKey(pair.private)) for pair in (team, other))
    assert "signed by the key team.pem" == policy.check("fraud-eu", by_team, FILES)
    assert "signed by the key other.pem" == policy.check("credit-eu", by_other, FILES)
    assert "SIGNATURE_UNTRUSTED" == refusal(lambda: policy.check("fraud-eu", by_other, FILES))
    assert "SIGNATURE_MISSING" == refusal(lambda: policy.check("fraud-eu", "", FILES))
    assert "" == policy.check("digits", "", FILES)
    assert "nobody has verified" in policy.check("digits", by_other, FILES)


def test_a_bundle_that_was_tampered_with_is_not_trusted(tmp_path: Path) -> None:
    """Other files in the statement, another's signature, none, or a kind that the library does not make."""
    pair, other = key_pair(tmp_path, "team"), key_pair(tmp_path, "other")
    policy = read_policy(one_rule(tmp_path, "*", pair))
    good = sign("m", FILES, SigningKey(pair.private))
    theirs = json.loads(sign("m", OTHERS[0], SigningKey(other.private)))

    def tampered(change: Callable[[Any], object]) -> str:
        bundle = json.loads(good)
        change(bundle)
        return json.dumps(bundle)

    def with_payload(bundle: Any) -> None:
        bundle["dsseEnvelope"]["payload"] = theirs["dsseEnvelope"]["payload"]

    def with_hint(bundle: Any) -> None:
        bundle["dsseEnvelope"] = theirs["dsseEnvelope"]

    def of_another_type(bundle: Any) -> None:
        bundle["dsseEnvelope"]["payloadType"] = "text/plain"

    rows: list[tuple[Callable[[Any], object], Mapping[str, str]]] = [
        (with_payload, OTHERS[0]),
        (with_hint, OTHERS[0]),
        (of_another_type, FILES),
        (lambda bundle: bundle["dsseEnvelope"]["signatures"].clear(), FILES),
        (lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(sig="AAAA"), FILES),
        (lambda bundle: bundle.update(mediaType="x"), FILES),
    ]
    reasons = [
        refusal(lambda: policy.check("m", tampered(change), files))  # noqa: B023
        for change, files in rows
    ]
    assert ["SIGNATURE_UNTRUSTED"] * len(rows) == reasons


MALFORMED = [
    "{}",
    "null",
    "[" * 100_000,
    "x" * (MAX_BYTES + 1),
    '{"verificationMaterial":{},"dsseEnvelope":{"payload":"e30="}}',
    '{"verificationMaterial":{"publicKey":{"hint":"a"}},"dsseEnvelope":{"payload":"%%%"}}',
]


@pytest.mark.parametrize("text", MALFORMED, ids=lambda text: text[:12])
def test_what_is_no_bundle_is_malformed(text: str) -> None:
    """With or without a policy."""
    assert "SIGNATURE_MALFORMED" == refusal(lambda: NO_POLICY.check("m", text, FILES))


def test_a_digest_of_another_kind_is_malformed(tmp_path: Path) -> None:
    """The registry knows SHA-256 alone, so it could not compare."""
    bundle = json.loads(sign("m", FILES, SigningKey(key_pair(tmp_path, "team").private)))
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"]).replace(b'"sha256"', b'"blake3"')
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    assert "SIGNATURE_MALFORMED" == refusal(lambda: read_bundle(json.dumps(bundle)))


def test_a_certificate_of_a_trusted_authority_passes(tmp_path: Path) -> None:
    """One of another authority of the same name does not, nor a key where only certificates are trusted."""
    ours = certified(tmp_path, "ours")
    (tmp_path / "elsewhere").mkdir()
    theirs = certified(tmp_path / "elsewhere", "ours")
    rule = '[[rule]]\nmodels = ["*"]\ncertificate_authorities = ["ours-authority.crt"]\n'
    policy = read_policy(policy_file(tmp_path, rule))
    by_ours, by_theirs = (
        sign("m", FILES, SigningKey(one.private, one.certificate, (one.authority,)))
        for one in (ours, theirs)
    )
    by_key = sign("m", FILES, SigningKey(ours.private))
    assert "signed by a certificate that is trusted" == policy.check("m", by_ours, FILES)
    assert "SIGNATURE_UNTRUSTED" == refusal(lambda: policy.check("m", by_theirs, FILES))
    assert "SIGNATURE_UNTRUSTED" == refusal(lambda: policy.check("m", by_key, FILES))
    assert "SIGNATURE_MISMATCH" == refusal(lambda: policy.check("m", by_ours, OTHERS[0]))


WRONG_POLICIES = [
    "",
    "x = 1",
    "[[rule",
    "[rule]\nmodels = ['*']",
    "[[rule]]\nmodels = ['*']",
    "[[rule]]\npublic_keys = ['team.pem']",
    "[[rule]]\nmodels = '*'\npublic_keys = ['team.pem']",
    "[[rule]]\nmodels = ['*']\npublic_keys = ['gone.pem']",
    "[[rule]]\nmodels = ['*']\npublic_keys = ['policy.toml']",
    "[[rule]]\nmodels = ['*']\ncertificate_authorities = ['team.pem']",
    "[[rule]]\nmodels = ['*']\npublic_keys = ['team.pem']\ntrusted = true",
]


@pytest.mark.parametrize("text", WRONG_POLICIES)
def test_a_wrong_policy_is_refused(tmp_path: Path, text: str) -> None:
    """Rather than taken for one that demands nothing."""
    key_pair(tmp_path, "team")
    path = policy_file(tmp_path, text)
    assert "SIGNATURE_POLICY_INVALID" == refusal(lambda: PolicyFile(path))


def test_a_policy_is_read_again_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    """Also where only a key's file is another: what it signed before is not trusted any more."""
    team, other = key_pair(tmp_path, "team"), key_pair(tmp_path, "other")
    path = one_rule(tmp_path, "m", team)
    policy = PolicyFile(path)
    by_team, by_other = (sign("m", FILES, SigningKey(pair.private)) for pair in (team, other))

    def trusted() -> list[bool]:
        found = []
        for bundle in (by_team, by_other):
            try:
                found.append(bool(policy.current().check("m", bundle, FILES)))
            except errors.FailedPrecondition:
                found.append(False)
        return found

    seen = [trusted()]
    one_rule(tmp_path, "m", team, other)
    os.utime(path, ns=(1, 1))  # two writes may have one time
    seen.append(trusted())
    path.write_text("broken [")
    seen.append(trusted())
    one_rule(tmp_path, "m", team)
    team.public.write_bytes(other.public.read_bytes())
    seen.append(trusted())
    assert [[True, False], [True, True], [True, True], [False, True]] == seen


def test_keys_that_cannot_sign_say_what_can(tmp_path: Path) -> None:
    """Ed25519, which the library does not take, and files that are no key."""
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key = ed25519.Ed25519PrivateKey.generate()
    other = tmp_path / "ed25519.key"
    other.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    text = tmp_path / "text.key"
    text.write_text("x")
    for path in (other, text, tmp_path / "gone.key"):
        with pytest.raises(errors.InvalidArgument, match="P-256, P-384 or P-521") as refused:
            sign("m", FILES, SigningKey(path))
        assert "SIGNING_KEY_UNUSABLE" == refused.value.reason
