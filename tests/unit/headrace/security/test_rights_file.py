"""The rights file: keys and grants of a process without a registry."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from headrace.cli.first_key import write_key
from headrace.errors import FailedPrecondition, PermissionDenied, Unauthenticated
from headrace.security.access import Access
from headrace.security.api_keys import digest_of, make_key
from headrace.security.credentials import Credentials
from headrace.security.rights_file import RightsFile
from headrace.security.verbs import Permission, Scope, Verb


def access_to(file: Path) -> tuple[Access, RightsFile]:
    """An access with what the file says."""
    access = Access()
    rights = RightsFile(file, access)
    rights.begin()
    return access, rights


def may(access: Access, key: str, verb: Verb, model: str) -> bool:
    """Whether the key's holder may do this."""
    identity = access.identify(Credentials(f"Bearer {key}"))
    return access.may(identity, verb, model)


def test_keys_that_the_command_adds(tmp_path: Path) -> None:
    """Two callers with roles for models, one of them for a while; the file is for its account alone."""
    file = tmp_path / "rights.toml"
    web = write_key(file, "web", {"caller": ["fraud-*"]}).secret
    ops = write_key(file, "ops@team", {"operator": [], "viewer": ["*"]}, ttl_seconds=3600).secret
    access, _ = access_to(file)

    assert may(access, web, Verb.INFER, "fraud-1")
    assert not may(access, web, Verb.INFER, "other")
    assert not may(access, web, Verb.ROUTE, "fraud-1")
    assert may(access, ops, Verb.INFER, "other")
    assert 0o600 == file.stat().st_mode & 0o777
    assert web not in file.read_text()
    ends = next(key.expires_at for key in access.rights.keys.values() if key.subject == "ops@team")
    assert abs(time.time() + 3600 - ends) < 60


def test_a_denial_names_the_entry_of_the_file_that_is_missing(tmp_path: Path) -> None:
    """`headrace grant` would change nothing here; what a caller chose is quoted."""
    file = tmp_path / "rights.toml"
    web = write_key(file, "web", {"caller": ["fraud-*"]}).secret
    access, _ = access_to(file)
    identity = access.identify(Credentials(f"Bearer {web}"))
    with pytest.raises(PermissionDenied) as refused:
        access.check(identity, Permission(Scope.MODEL, Verb.INFER), ['x"]'])
    message = refused.value.message
    assert "headrace grant" not in message
    assert message.endswith(
        r"""the rights file, [[grants]] with subject = "web", role = "ROLE", models = ["x\"]"]"""
    )


def test_a_changed_file_holds_at_the_next_look(tmp_path: Path) -> None:
    """A key that is taken out is refused; a broken file changes nothing and is told."""
    file = tmp_path / "rights.toml"
    first = write_key(file, "web", {"caller": []}).secret
    access, rights = access_to(file)
    file.write_text("keys = 7")
    rights.look()
    assert "rights.toml cannot be used" in rights.problem
    assert may(access, first, Verb.INFER, "m")

    file.unlink()
    second = write_key(file, "web", {"caller": []}).secret
    rights.look()
    assert "" == rights.problem
    assert may(access, second, Verb.INFER, "m")
    with pytest.raises(Unauthenticated, match="there is no API key"):
        access.identify(Credentials(f"Bearer {first}"))


def test_limits_and_roles_of_its_own(tmp_path: Path) -> None:
    """A file that a person writes may have them."""
    key = make_key()
    file = tmp_path / "rights.toml"
    file.write_text(
        f"""
        [[keys]]
        subject = "web"
        digest = "{digest_of(key)}"
        expires = {time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))}
        [[roles]]
        name = "scorer"
        rules = [{{verbs = ["infer"], models = ["fraud-*"]}}]
        [[grants]]
        subject = "web"
        role = "scorer"
        [[limits]]
        subject = "web"
        requests_per_second = 5
        """
    )
    access, _ = access_to(file)
    identity = access.identify(Credentials(f"Bearer {key}"))

    assert access.may(identity, Verb.INFER, "fraud-2")
    assert not access.may(identity, Verb.READ, "fraud-2")
    assert 5.0 == access.rights.policy.limits_of(identity).requests_per_second


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[keys]]\nsubject = 'web'\ndigest = 'hr_secret'", "keys"),
        ("[[grants]]\nsubject = 'web'\nrole = 'king'", "there is no role 'king' for 'web'"),
        ("[[grants]]\nsubject = 'web'\nrole = 'caller'\nmodels = ['a b']", "'a b' is no pattern"),
        (
            "[[roles]]\nname = 'admin'\nrules = [{verbs = ['infer']}]",
            "a role that there is already",
        ),
        ("[[roles]]\nname = 'x'\nrules = [{verbs = ['fly']}]", "roles"),
        ("[[users]]\nname = 'x'", "users"),
        ("[[keys]", "Expected"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    """At the start nothing runs with a file that cannot be used."""
    file = tmp_path / "rights.toml"
    file.write_text(text)
    with pytest.raises(FailedPrecondition) as refused:
        access_to(file)

    assert "RIGHTS_FILE_INVALID" == refused.value.reason
    assert said in refused.value.message
