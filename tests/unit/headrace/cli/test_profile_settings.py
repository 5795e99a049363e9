"""Which of options, environment and profiles counts, setting by setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace import errors, profiles
from headrace.cli.profile_settings import passed_over, with_profile

NOTHING = dict.fromkeys(("registry", "inference", "monitor", "tls_ca", "token_file"), None)
PROD = profiles.Profile(registry="grpcs://prod:8100", token_file="/keys/prod.key")
TEST = profiles.Profile(registry="test:8100")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment with two profiles, the first of which is in use."""
    found = {"XDG_CONFIG_HOME": str(tmp_path)}
    named = {"prod": PROD, "test": TEST}
    profiles.write(profiles.folder(found), profiles.Profiles(named, "prod"))
    return found


def chosen(environ: dict[str, str], name: str | None = None, **given: str) -> tuple[object, ...]:
    """The registry and the key file that a command takes."""
    settings = with_profile({**NOTHING, **given}, name, environ)
    return settings["registry"], settings["token_file"]


def test_the_profile_in_use_counts_where_nothing_else_is_said(environ: dict[str, str]) -> None:
    """All of it, or nothing of it: its key is for its own suite."""
    assert ("grpcs://prod:8100", "/keys/prod.key") == chosen(environ)
    assert ("other:8100", None) == chosen(environ, registry="other:8100")
    for name in ("HEADRACE_REGISTRY", "HEADRACE_CLIENT_MONITOR", "HEADRACE_TOKEN_FILE"):
        assert (None, None) == chosen(environ | {name: "elsewhere:1"})


def test_a_profile_that_is_named_counts_for_more_than_the_environment(
    environ: dict[str, str],
) -> None:
    """Else its key would go where that says. Options count for more: whoever writes them sees both."""
    elsewhere = {"HEADRACE_REGISTRY": "elsewhere:1"}
    assert "test:8100" == chosen(environ | elsewhere, "test")[0]
    assert "other:8100" == chosen(environ, "test", registry="other:8100")[0]
    by_variable = environ | {"HEADRACE_PROFILE": "test"}
    assert "test:8100" == chosen(by_variable)[0]
    assert "test:8100" == chosen(by_variable | elsewhere)[0]
    assert "grpcs://prod:8100" == chosen(by_variable, "prod")[0]
    named = with_profile(NOTHING, "test", environ | {"HEADRACE_INFERENCE": "elsewhere:1"})
    assert "127.0.0.1:8001" == named["inference"]


def test_a_profile_in_use_that_does_not_count_is_told(environ: dict[str, str]) -> None:
    """So that a command that went elsewhere can say how to go where the profile says."""
    other = {**NOTHING, "registry": "other:8100"}
    assert "prod" == passed_over(other, None, environ)
    assert "prod" == passed_over(NOTHING, None, environ | {"HEADRACE_TOKEN_FILE": "web.key"})
    assert "" == passed_over(NOTHING, None, environ)
    assert "" == passed_over(other, "test", environ)
    assert "" == passed_over(other, None, environ | {"HEADRACE_PROFILE": "test"})


def test_a_profile_that_is_not_there_is_refused(environ: dict[str, str]) -> None:
    """It is not passed over: the command would go elsewhere."""
    for name, more in (("none", {}), (None, {"HEADRACE_PROFILE": "none"})):
        with pytest.raises(errors.NotFound, match="no profile 'none'"):
            chosen(environ | more, name)


def test_profiles_are_read_as_they_were_written(tmp_path: Path) -> None:
    """Texts with quotes and other characters, too; what a newer release wrote is passed over."""
    odd = profiles.Profile(registry='a"b\\c\n', tls_ca="/größe/ü")
    profiles.write(tmp_path, profiles.Profiles({"odd": odd}, "odd"))
    file = tmp_path / profiles.FILE
    file.write_text(file.read_text() + 'newer = "x"\n')
    assert profiles.Profiles({"odd": odd}, "odd") == profiles.read(tmp_path)


@pytest.mark.parametrize("text", ["current = ", "profiles = 3", "[profiles]\nx = 3"])
def test_a_file_that_is_none_is_told_of(tmp_path: Path, text: str) -> None:
    """With what to do."""
    (tmp_path / profiles.FILE).write_text(text)
    with pytest.raises(errors.InvalidArgument, match="log in again"):
        profiles.read(tmp_path)
