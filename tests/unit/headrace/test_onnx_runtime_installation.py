"""Installations of ONNX Runtime that are whole, and some that are not."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace import errors
from headrace.onnx_runtime.installation import require_onnx_runtime

CPU, GPU = ("onnxruntime", "1.32.0"), ("onnxruntime-gpu", "1.31.1")
Build = tuple[str, str]


def install(folder: Path, build: Build) -> None:
    """Write a build's files over what is there, and its own list of them, as pip does."""
    name, version = build
    files = {
        "onnxruntime/__init__.py": f"__version__ = '{version}'\n",
        "onnxruntime/capi/build_and_package_info.py": f"package_name = '{name}'\n",
        "onnxruntime/capi/pybind11_state.so": "native" * len(name),
        f"onnxruntime/capi/libonnxruntime.so.{version}": "native",
    }
    if name != CPU[0]:
        files["onnxruntime/capi/libonnxruntime_providers_cuda.so"] = "cuda"
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    record = "".join(f"{path},{_hash(text)},{len(text)}\n" for path, text in files.items())
    files[f"{info.name}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files[f"{info.name}/RECORD"] = record + f"{info.name}/RECORD,,\n"
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def uninstall(folder: Path, build: Build) -> None:
    """Remove what a build's list names, whoever wrote it last, as pip does."""
    name, version = build
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    for line in (info / "RECORD").read_text().splitlines():
        (folder / line.split(",")[0]).unlink(missing_ok=True)
    (info / "METADATA").unlink()
    info.rmdir()


def _hash(text: str) -> str:
    digest = urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"


def both(first: Build, second: Build) -> Callable[[Path], None]:
    """Two builds, one after the other."""

    def steps(folder: Path) -> None:
        install(folder, first)
        install(folder, second)

    return steps


def one_of_both_left(left: Build, removed: Build) -> Callable[[Path], None]:
    """Two builds, of which one was uninstalled again."""

    def steps(folder: Path) -> None:
        both(removed, left)(folder)
        uninstall(folder, removed)

    return steps


def cured(folder: Path) -> None:
    """A mix after what the error says to do for the GPU."""
    both(GPU, CPU)(folder)
    uninstall(folder, GPU)
    install(folder, GPU)


SAME = ("onnxruntime-gpu", "1.32.0")
WHOLE: dict[str, Callable[[Path], None]] = {
    "the CPU's": lambda folder: install(folder, CPU),
    "the GPU's": lambda folder: install(folder, GPU),
    "the GPU's over the CPU's": both(CPU, GPU),
    "the same version, the GPU's over the CPU's": both(CPU, SAME),
    "a mix that was cured": cured,
}
BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "none": (lambda _: None, "pip install onnxruntime`"),
    "the CPU's over the GPU's": (both(GPU, CPU), "--no-deps onnxruntime-gpu==1.31.1`"),
    "of one version": (both(SAME, CPU), "pip uninstall -y onnxruntime-gpu && pip install"),
    "the CPU's uninstalled": (one_of_both_left(GPU, CPU), "--no-deps onnxruntime-gpu==1.31.1`"),
    "the GPU's uninstalled": (one_of_both_left(CPU, GPU), "--no-deps onnxruntime==1.32.0`"),
}


@pytest.mark.parametrize("steps", WHOLE.values(), ids=WHOLE)
def test_a_whole_installation_is_taken(tmp_path: Path, steps: Callable[[Path], None]) -> None:
    """One build, or two of which the one with more in it was installed last."""
    steps(tmp_path)
    require_onnx_runtime([str(tmp_path)])


@pytest.mark.parametrize(("steps", "cure"), BROKEN.values(), ids=BROKEN)
def test_a_broken_installation_is_told_with_its_cure(
    tmp_path: Path, steps: Callable[[Path], None], cure: str
) -> None:
    """The error has the command that mends it."""
    steps(tmp_path)
    with pytest.raises(errors.FailedPrecondition) as caught:
        require_onnx_runtime([str(tmp_path)])
    assert "ONNX_RUNTIME_BROKEN" == caught.value.reason
    assert cure in caught.value.message


def test_this_installation_is_whole() -> None:
    """What the tests run on."""
    require_onnx_runtime()


def test_the_version_is_known_without_loading_the_package() -> None:
    """What a distribution says is what the package says when it is loaded."""
    check = (
        "import sys; from headrace.onnx_runtime.installation import runtime_version; "
        "told = runtime_version(); assert 'onnxruntime' not in sys.modules; "
        "import onnxruntime; print(told == onnxruntime.__version__)"
    )
    output = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True
    ).stdout

    assert output == "True\n"
