"""Checks that ONNX Runtime is installed whole.

Its builds (`onnxruntime` for the CPU, `onnxruntime-gpu` and others) are distributions of their own with one
import name: installed beside one another they overwrite each other's files, and uninstalling one takes the
other's. pip and uv say nothing of it, and at run time the GPU is silently not used.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from importlib import metadata, util
from pathlib import Path

from headrace import errors

CPU_BUILD = "onnxruntime"
BUILDS = (
    CPU_BUILD,
    *("onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino", "onnxruntime-qnn"),
    *("onnxruntime-migraphx", "onnxruntime-rocm", "onnxruntime-silicon", "onnxruntime-training"),
    *("ort-nightly", "ort-nightly-gpu"),
)
"""The distributions that bring the package `onnxruntime`."""

_DECISIVE = ("onnxruntime/__init__.py", "onnxruntime/capi/")
"""The files that differ between builds and that each needs: native libraries, and what says which it is."""


def require_onnx_runtime(path: Sequence[str] | None = None) -> None:
    """Check the installation on `path`, or where modules are imported from.

    Raises FailedPrecondition (ONNX_RUNTIME_BROKEN) that says what to install.
    """
    found = [build for name in BUILDS for build in _installed(name, path)]
    if not found:
        if path is None and util.find_spec("onnxruntime") is not None:
            return  # built from source, without a distribution
        raise _broken("ONNX Runtime is not installed: `pip install onnxruntime`")
    if len(found) == 1:
        if missing := _missing(found[0]):
            raise _broken(
                f"{_called(found[0])} is not whole, {missing} is missing: {_reinstall(found[0])}"
            )
    elif not any(_is_whole(build) for build in found if build.name != CPU_BUILD):
        raise _mixed(found)


@functools.cache
def runtime_version() -> str:
    """The version of ONNX Runtime that this process has or would load, without loading it."""
    if "onnxruntime" not in sys.modules:
        found = [build for name in BUILDS for build in _installed(name, None)]
        if len(found) == 1:
            return found[0].version
    import onnxruntime

    return str(onnxruntime.__version__)


def _installed(name: str, path: Sequence[str] | None) -> Iterable[metadata.Distribution]:
    """The first of that name, the one that is imported, if there is one."""
    options = {"name": name} if path is None else {"name": name, "path": list(path)}
    return list(metadata.distributions(**options))[:1]


def _decisive_files(build: metadata.Distribution) -> list[metadata.PackagePath]:
    """Empty where the installer wrote no list of files."""
    return [
        file
        for file in build.files or ()
        if file.as_posix().startswith(_DECISIVE) and file.suffix != ".pyc"
    ]


def _missing(build: metadata.Distribution) -> str | None:
    """A file of the build that is not there."""
    for file in _decisive_files(build):
        if not Path(str(file.locate())).is_file():
            return file.as_posix()
    return None


def _is_whole(build: metadata.Distribution) -> bool:
    """Return whether the files there are this build's: libraries by their size, sources by their bytes."""
    return all(_is_as_recorded(file) for file in _decisive_files(build))


def _is_as_recorded(file: metadata.PackagePath) -> bool:
    path = Path(str(file.locate()))
    if not path.is_file():
        return False
    if file.size is not None and file.size != path.stat().st_size:
        return False
    if file.suffix != ".py" or file.hash is None:
        return True
    digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
    return file.hash.value == urlsafe_b64encode(digest).rstrip(b"=").decode()


def _mixed(found: Sequence[metadata.Distribution]) -> errors.FailedPrecondition:
    """Some build besides the CPU's is there, or several are, and none of these is whole."""
    wanted = next(build for build in found if build.name != CPU_BUILD)
    others = " ".join(build.name for build in found if build.name != CPU_BUILD)
    cpu = next((build for build in found if build.name == CPU_BUILD), None)
    version = f"=={cpu.version}" if cpu is not None else ""
    return _broken(
        f"{' and '.join(map(_called, found))} are both installed and overwrite each other's files, and "
        f"{wanted.name} is not whole. To use it: {_reinstall(wanted)}. For the CPU alone: "
        f"`pip uninstall -y {others} && pip install --force-reinstall --no-deps {CPU_BUILD}{version}`"
    )


def _called(build: metadata.Distribution) -> str:
    return f"{build.name} {build.version}"


def _reinstall(build: metadata.Distribution) -> str:
    return f"`pip install --force-reinstall --no-deps {build.name}=={build.version}`"


def _broken(message: str) -> errors.FailedPrecondition:
    return errors.FailedPrecondition("ONNX_RUNTIME_BROKEN", message)
