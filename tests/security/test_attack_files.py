"""Files that decide who is who, replaced by what no process gets to the end of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headrace import errors
from headrace.security.identity_file import Issuer, read_identity_file
from headrace.security.jwks import read_jwks
from tests.security.issuers import AUDIENCE, ISSUER


@pytest.fixture(params=["pipe", "folder", "endless"])
def unreadable(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The path of what is no file."""
    path = tmp_path / "file"
    if request.param == "pipe":
        os.mkfifo(path)  # nobody writes into it
    elif request.param == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    return path


def test_keys_are_read_from_files_alone(unreadable: Path) -> None:
    """The thread that keeps all issuers' keys fresh is not held up."""
    issuer = Issuer(name="corp", issuer=ISSUER, audiences=(AUDIENCE,), jwks=str(unreadable))
    with pytest.raises(OSError, match=r"regular file|directory"):
        read_jwks(issuer)


def test_the_identity_file_is_a_file(unreadable: Path) -> None:
    """Nor the one that looks whether it has changed: what it said before would stay in force for ever."""
    with pytest.raises(errors.FailedPrecondition) as error:
        read_identity_file(unreadable)
    assert error.value.reason == "IDENTITY_FILE_INVALID"
