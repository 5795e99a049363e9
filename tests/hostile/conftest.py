"""A suite for each front, for all the hostile tests together; every test leaves it unharmed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.hostile.target import Target, open_target


@pytest.fixture(scope="session", params=["native", "grpcio"])
def running_target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    """A suite whose replica has this front."""
    opened = open_target(tmp_path_factory.mktemp("hostile"), request.param)
    with asyncio.Runner() as runner:
        yield runner.run(opened.__aenter__())
        runner.run(opened.__aexit__(None, None, None))


@pytest.fixture
def target(running_target: Target) -> Iterator[Target]:
    """The suite; after the test it must be unharmed."""
    yield running_target
    running_target.assert_unharmed()
