"""Where a client finds the suite."""

from __future__ import annotations

import pytest

from headrace.client import read_client_settings
from headrace.settings import SettingsError, parse_value


def test_arguments_come_before_the_environment_and_that_before_defaults() -> None:
    """Each address comes from the first place that has it."""
    environ = {"HEADRACE_REGISTRY": "reg:1", "HEADRACE_INFERENCE": "inf:2"}

    settings = read_client_settings(environ, registry="given:3", monitor=None)

    expected = {"registry": ("given:3",), "inference": ("inf:2",), "monitor": ("127.0.0.1:8200",)}
    assert expected == settings.addresses()


@pytest.mark.parametrize("prefix", ["", "ipv4:"])
def test_a_service_may_have_several_addresses(prefix: str) -> None:
    """As a list with commas, also in gRPC's own spelling."""
    settings = read_client_settings({"HEADRACE_INFERENCE": f"{prefix}127.0.0.1:1, 127.0.0.1:2"})
    assert ("127.0.0.1:1", "127.0.0.1:2") == settings.addresses()["inference"]


def test_each_of_several_addresses_is_checked() -> None:
    """The wrong one is named."""
    with pytest.raises(SettingsError, match=r"inference: 'b' is not an address"):
        read_client_settings({}, inference="a:1,b")


def test_a_value_that_looks_like_a_flag_is_a_value() -> None:
    """An actor may begin with a dash."""
    assert read_client_settings({}, actor="--me").actor == "--me"


def test_who_calls_is_user_at_host_by_default() -> None:
    """Without an actor, changes are recorded under the user's name on this host."""
    user, at, host = read_client_settings({}).actor.partition("@")

    assert user
    assert at == "@"
    assert host


def test_all_that_is_wrong_is_said_at_once() -> None:
    """One error has a line for each wrong setting."""
    environ = {"HEADRACE_REGISTRY": "nowhere", "HEADRACE_TRY_SECONDS": "-1"}

    with pytest.raises(SettingsError, match=r"(?s)registry: 'nowhere'.*try_seconds: -1"):
        read_client_settings(environ)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_what_is_no_finite_number_is_refused(text: str) -> None:
    """It passes every comparison with a bound, and then breaks what waits for so long."""
    with pytest.raises(ValueError, match="is not a finite number"):
        parse_value(float, text)
