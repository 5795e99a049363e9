"""Generates the Python code of everything under protos/ into headrace/.

It writes the code into the tree and removes generated files that no proto stands behind any more.
With `--check` it writes nothing, names the files that are stale and exits 1 if there are any.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")

# The package whose code moves to headrace.inference and into a descriptor pool of its own. protoc
# can neither name another Python package than the proto's folder nor use another pool.
PRIVATE = "inference"
DEFAULT_POOL_IMPORT = "from google.protobuf import descriptor_pool as _descriptor_pool\n"
# A servicer may leave methods out, and answers UNIMPLEMENTED to them: none is abstract.
ABSTRACT = "    @_abc_1.abstractmethod\n"
PRIVATE_POOL_IMPORT = f"from headrace.{PRIVATE}._pool import POOL as _POOL\n"


def generate(protos: Path) -> dict[Path, str]:
    """Returns the text of every generated file by its path in the repository."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder)
        run_protoc(protos, output)
        modules = dict(read_modules(output))
    return modules | dict(missing_packages(modules))


def run_protoc(protos: Path, output: Path) -> None:
    """Runs protoc over all protos, and shows what it says if it fails."""
    sources = sorted(str(path.relative_to(protos)) for path in protos.rglob("*.proto"))
    outputs = [f"--{kind}_out={output}" for kind in ("python", "pyi", "grpc_python", "mypy_grpc")]
    plugin = f"--plugin=protoc-gen-mypy_grpc={Path(sys.executable).parent / 'protoc-gen-mypy_grpc'}"
    includes = [f"-I{protos}", f"-I{google_protos()}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", plugin, *includes, *outputs, *sources]
    done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{done.stderr}\nprotoc failed")


def google_protos() -> str:
    """Returns the folder that holds google/rpc and google/api."""
    distribution = importlib.metadata.distribution("googleapis-common-protos")
    return str(distribution.locate_file(""))


def read_modules(output: Path) -> Iterator[tuple[Path, str]]:
    """Yields path and text of the modules that protoc wrote and that have something in them."""
    for path in sorted(path for pattern in GENERATED for path in output.rglob(pattern)):
        module, text = path.relative_to(output), path.read_text(encoding="utf-8")
        # protoc writes a gRPC module for every proto, also for one without a service.
        if "_pb2_grpc.py" not in path.name or "Stub" in text:
            text = text.replace(ABSTRACT, "")
            yield make_private(module, text) if module.parts[0] == PRIVATE else (module, text)


def make_private(module: Path, text: str) -> tuple[Path, str]:
    """Moves a module of the private package to headrace, its descriptors to the private pool."""
    text = re.sub(rf"(?m)^from {PRIVATE} import ", f"from headrace.{PRIVATE} import ", text)
    if module.name.endswith("_pb2.py"):
        name = ".".join(module.with_suffix("").parts)
        text = replace_once(text, DEFAULT_POOL_IMPORT, PRIVATE_POOL_IMPORT)
        text = replace_once(text, "_descriptor_pool.Default()", "_POOL")
        text = replace_once(text, f"(DESCRIPTOR, '{name}', ", f"(DESCRIPTOR, 'headrace.{name}', ")
    return Path("headrace") / module, text


def replace_once(text: str, old: str, new: str) -> str:
    """Replaces the one occurrence of `old`, and fails where protoc's output is not as expected."""
    if text.count(old) != 1:
        raise SystemExit(f"protoc's output has changed, expected once: {old!r}")
    return text.replace(old, new)


def missing_packages(modules: dict[Path, str]) -> Iterator[tuple[Path, str]]:
    """Yields an `__init__.py` for each package of the modules that the repository lacks."""
    packages = {package for module in modules for package in module.parents[:-2]}
    for package in sorted(packages):
        path = package / "__init__.py"
        if not (ROOT / path).exists():
            yield path, f'"""Generated code of the package {".".join(package.parts)}."""\n'


def stale_files(files: dict[Path, str]) -> list[Path]:
    """Returns the files in the repository that differ, are missing, or have lost their proto."""
    return sorted(orphans(files) + [path for path, text in files.items() if read(path) != text])


def orphans(files: dict[Path, str]) -> list[Path]:
    """Returns the generated files in the repository that no proto stands behind."""
    found = (path for pattern in GENERATED for path in (ROOT / "headrace").rglob(pattern))
    return [path for path in (path.relative_to(ROOT) for path in found) if path not in files]


def read(path: Path) -> str | None:
    """Returns the text of a file of the repository, None if there is no such file."""
    full = ROOT / path
    return full.read_text(encoding="utf-8") if full.exists() else None


def write(files: dict[Path, str]) -> None:
    """Makes the repository hold these generated files and no others."""
    for path, text in files.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")
    for path in orphans(files):
        (ROOT / path).unlink()


def check(files: dict[Path, str]) -> None:
    """Exits with 1 if the repository's generated files are not these."""
    stale = stale_files(files)
    for path in stale:
        print(f"stale: {path}")
    if stale:
        raise SystemExit("run: make protos")


def main() -> None:
    """Writes the generated code, or checks it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say which files are stale")
    arguments = parser.parse_args()
    files = generate(ROOT / "protos")
    check(files) if arguments.check else write(files)


if __name__ == "__main__":
    main()
