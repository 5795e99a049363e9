"""From credentials to an identity, and to a decision."""

import pytest

from headrace import errors
from headrace.security.access import OPEN_ACCESS, Access, Rights
from headrace.security.api_keys import ApiKey, digest_of, make_key
from headrace.security.credentials import GATEWAY_SOCKET, Credentials, PeerCertificate
from headrace.security.identities import NOBODY, Identity, Proof
from headrace.security.policy import Binding, Grant, Policy
from headrace.security.verbs import KNOWN, OPEN, Permission, Scope, Verb

NOW = 1_000_000.0
INFER = Permission(Scope.MODEL, Verb.INFER)
LISTED = Permission(Scope.FILTERED, Verb.READ)


class Tokens:
    def __init__(self) -> None:
        self.verified = 0

    def verify(self, token: str) -> Identity:
        self.verified += 1
        if token != "a.b.c":
            raise errors.Unauthenticated("TOKEN_INVALID", "the signature is wrong")
        return Identity("corp:alice", Proof.TOKEN, "corp", expires_at=NOW + 60)


class Names:
    def identity_of(self, certificate: PeerCertificate) -> Identity | None:
        return Identity(certificate.uris[0], Proof.CERTIFICATE) if certificate.uris else None

    def is_gateway(self, certificate: PeerCertificate) -> bool:
        return certificate.uris == ("spiffe://gateway",)

    def forwarded(self, header: str) -> PeerCertificate | None:
        return PeerCertificate((header,))


class Scene:
    def __init__(self) -> None:
        self.now = NOW
        self.tokens = Tokens()
        self.access = Access(tokens=self.tokens, certificates=Names(), now=lambda: self.now)
        self.key = make_key()
        key = ApiKey("k", "alice", digest_of(self.key), NOW + 100)
        grants = {"alice": Binding((Grant("caller", ("digits",)),))}
        self.access.rights = Rights({key.digest: key}, Policy({}, grants))

    def identify(self, authorization: str = "", **more: PeerCertificate | str) -> Identity:
        return self.access.identify(Credentials(authorization, **more))  # type: ignore[arg-type]

    def refused(self, authorization: str, **more: PeerCertificate | str) -> str:
        with pytest.raises(errors.Unauthenticated) as refused:
            self.identify(authorization, **more)
        return refused.value.reason


def test_a_key_is_its_subject_until_it_expires() -> None:
    scene = Scene()
    identity = scene.identify(f"Bearer {scene.key}")
    assert (identity.subject, identity.proof) == ("alice", Proof.API_KEY)
    assert scene.access.known(f"Bearer {scene.key}") == identity
    scene.now += 101
    assert scene.refused(f"Bearer {scene.key}") == "API_KEY_EXPIRED"


def test_a_revoked_key_is_refused_from_the_change_on() -> None:
    scene = Scene()
    scene.identify(f"Bearer {scene.key}")
    generation = scene.access.generation
    scene.access.rights = Rights({}, scene.access.rights.policy)
    assert scene.access.generation != generation
    assert scene.refused(f"Bearer {scene.key}") == "API_KEY_INVALID"


def test_a_key_that_comes_after_its_refusal_is_taken_at_once() -> None:
    scene, key = Scene(), make_key()
    assert scene.refused(f"Bearer {key}") == "API_KEY_INVALID"
    scene.access.rights = Rights({digest_of(key): ApiKey("n", "bob", digest_of(key))})
    assert scene.identify(f"Bearer {key}").subject == "bob"


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        ("Basic YTpi", "CREDENTIALS_MALFORMED"),
        ("Bearer", "CREDENTIALS_MALFORMED"),
        ("Bearer x", "CREDENTIALS_MALFORMED"),
        ("Bearer " + "x" * 40_000, "CREDENTIALS_MALFORMED"),
        ("Bearer hr_typo", "API_KEY_INVALID"),
        pytest.param(f"Bearer {make_key()}", "API_KEY_INVALID", id="a key that nobody has"),
        ("Bearer x.y.z", "TOKEN_INVALID"),
    ],
)
def test_what_proves_nothing_is_refused_with_its_reason(authorization: str, reason: str) -> None:
    assert Scene().refused(authorization) == reason


def test_a_jwt_is_verified_once_and_a_bad_one_once_in_ten_seconds() -> None:
    scene = Scene()
    assert {scene.identify("Bearer a.b.c").subject for _ in range(3)} == {"corp:alice"}
    assert scene.tokens.verified == 1
    for _ in range(3):
        scene.refused("Bearer x.y.z")
    assert scene.tokens.verified == 2
    scene.now += 61
    scene.refused("Bearer x.y.z")
    assert scene.tokens.verified == 3


def test_a_jwt_is_verified_again_when_it_has_expired() -> None:
    scene = Scene()
    scene.identify("Bearer a.b.c")
    scene.now += 61
    assert scene.access.known("Bearer a.b.c") is None


def test_only_jwts_are_slow() -> None:
    assert Access.is_slow("Bearer a.b.c")
    assert not Access.is_slow(f"Bearer {make_key()}")


def test_the_use_of_a_key_is_noted_by_the_day() -> None:
    scene = Scene()
    scene.identify(f"Bearer {scene.key}")
    assert scene.access.used_keys == {"k": int(NOW // 86_400)}


def test_a_certificate_proves_and_must_not_contradict_a_token() -> None:
    scene = Scene()
    mine = PeerCertificate(("spiffe://a",))
    assert scene.identify(certificate=mine).subject == "spiffe://a"
    assert scene.refused(f"Bearer {scene.key}", certificate=mine) == "CREDENTIALS_CONFLICT"
    assert scene.identify(f"Bearer {scene.key}", certificate=PeerCertificate()).subject == "alice"
    expired = PeerCertificate(("spiffe://a",), expires_at=NOW - 1)
    assert scene.identify(certificate=expired) == NOBODY


def test_forwarded_names_are_believed_of_gateways_only() -> None:
    scene = Scene()
    told = "spiffe://told"
    assert scene.identify(forwarded=told) == NOBODY
    other = PeerCertificate(("spiffe://other",))
    assert scene.identify(certificate=other, forwarded=told).subject == "spiffe://other"
    gateway = PeerCertificate(("spiffe://gateway",))
    assert scene.identify(certificate=gateway, forwarded=told).subject == told
    assert scene.identify(certificate=gateway) == NOBODY
    assert scene.identify(certificate=GATEWAY_SOCKET, forwarded=told).subject == told


def test_what_is_remembered_is_bounded() -> None:
    scene = Scene()
    for number in range(10_500):
        scene.refused(f"Bearer {number}.x.y")
    assert len(scene.access._memory.refused) <= 4096


def test_scopes() -> None:
    scene = Scene()
    access, alice = scene.access, scene.identify(f"Bearer {scene.key}")
    access.check(NOBODY, OPEN)
    access.check(alice, KNOWN)
    access.check(alice, INFER, ["digits"])
    access.check(alice, LISTED)
    access.check(alice, LISTED, [""])
    access.check(alice, LISTED, ["digits"])
    for permission, models in (
        (INFER, ["other"]),
        (INFER, ["digits", "other"]),
        (INFER, [""]),
        (INFER, []),
        (LISTED, ["other"]),
        (Permission(Scope.EVERYTHING, Verb.READ), []),
    ):
        with pytest.raises(errors.PermissionDenied):
            access.check(alice, permission, models)
    for permission in (KNOWN, INFER, LISTED, Permission(Scope.CONTENT)):
        with pytest.raises(errors.Unauthenticated):
            access.check(NOBODY, permission)


def test_a_grant_to_anonymous_lets_everybody_in() -> None:
    access = Access()
    access.rights = Rights({}, Policy({}, {"anonymous": Binding((Grant("caller", ("open-*",)),))}))
    access.check(NOBODY, INFER, ["open-digits"])
    with pytest.raises(errors.Unauthenticated):
        access.check(NOBODY, INFER, ["digits"])


def test_open_access_lets_all_pass() -> None:
    OPEN_ACCESS.check(NOBODY, Permission(Scope.EVERYTHING, Verb.ADMIN))
    assert OPEN_ACCESS.identify(Credentials("Bearer nonsense")) == NOBODY
    assert OPEN_ACCESS.may(NOBODY, Verb.DELETE, "digits")


def test_nobody_is_refused_by_rights_that_were_not_learnt_yet() -> None:
    """A key that may be good is not called wrong; the caller tries again."""
    access = Access()
    with pytest.raises(errors.Unavailable) as unknown:
        access.identify(Credentials(f"Bearer {make_key()}"))
    assert unknown.value.reason == "RIGHTS_UNKNOWN"
    alice = Identity("alice", Proof.API_KEY)
    with pytest.raises(errors.Unavailable):
        access.check(alice, INFER, ["digits"])
    access.rights = Rights()
    with pytest.raises(errors.PermissionDenied):
        access.check(alice, INFER, ["digits"])


def test_a_denial_holds_no_command_that_a_caller_made_up() -> None:
    """An admin may copy the remedy: what callers chose is quoted in it."""
    mallory = Identity("corp:$(reboot)", Proof.TOKEN)
    access = Access()
    access.rights = Rights()
    with pytest.raises(errors.PermissionDenied) as denied:
        access.check(mallory, INFER, ["x; reboot"])
    assert denied.value.message.endswith(
        "headrace grant 'corp:$(reboot)' ROLE --models 'x; reboot'"
    )
