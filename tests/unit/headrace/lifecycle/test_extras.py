"""Libraries that an extra brings."""

from __future__ import annotations

import pytest

from headrace import errors
from headrace.lifecycle.extras import from_extra


def test_a_library_that_is_there_is_imported() -> None:
    """What the extra brought is given as the module."""
    import numpy.linalg

    assert numpy.linalg is from_extra("numpy.linalg", "this test")


def test_a_library_that_is_missing_is_named_with_its_extra() -> None:
    """The message says what to install."""
    with pytest.raises(errors.FailedPrecondition) as caught:
        from_extra("no_such_library", "a test", "explain")
    assert "LIFECYCLE_EXTRA_MISSING" == caught.value.reason
    assert "a test takes no_such_library: pip install 'headrace[explain]'" in str(caught.value)
