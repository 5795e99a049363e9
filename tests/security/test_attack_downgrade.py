"""A replica without authentication beside grants says so: it would be a way around all others."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from headrace.state.catalog import Catalog
from headrace_inference.app.access import open_replica_access
from headrace_inference.settings import Settings
from tests.unit.headrace.state.test_rights import granted

LOGGER = "headrace.state.unasked_rights"


def told(caplog: pytest.LogCaptureFixture) -> int:
    """So many warnings of it."""
    return sum(each.name == LOGGER for each in caplog.records)


@pytest.mark.parametrize(("auth", "expected"), [("off", 1), ("on", 0)])
def test_a_replica_without_authentication_tells_of_grants(
    tmp_path: Path, auth: Literal["on", "off"], expected: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Beside replicas that ask it would answer everybody."""
    settings = Settings(
        redis_url="redis://unused", registry_address="unused", data=tmp_path, auth=auth
    )
    with open_replica_access(settings) as access:
        access.follow(Catalog())
        assert told(caplog) == 0
        access.follow(granted())
        access.follow(granted())
    assert told(caplog) == expected
